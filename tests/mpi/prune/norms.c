/* Norms are computed where the criterion reads them, and right; not elsewhere. */
#include "mpi.h"

#include "evidence.h"
#include "pruning.h"
#include "ranker.h"
#include "small.h"

#include <math.h>

static const int64_t sizes[] = {6, 4, 3};

typedef struct bench {
  esp_prune_settings settings;
  esp_prune_request *request;
  prune_journal journal;
  ranker ranker;
  site_evidence site;
  esp_evidence evidence;
} bench;

/* What a criterion without statistics is shown of the hidden layer. */
static void show(bench *self, const char *criterion) {
  *self = (bench){.journal = {.comm = &test_comm, .round = -1}};
  pruning_set(&self->settings, OPTIONS("criterion", criterion, "repair", "none"));
  assert_int_equal(
      esp_prune_request_new(&self->settings, small_model_new("relu", sizes, 3, 7), &self->request),
      ESP_OK);
  ranker_init(&self->ranker, &test_comm, self->request, &self->journal);
  assert_int_equal(evidence_complete_local(&self->ranker, 0, &self->site, &self->evidence), ESP_OK);
}

static void clear(bench *self) {
  evidence_clear(&self->site);
  ranker_clear(&self->ranker);
  esp_prune_request_free(&self->request);
  esp_prune_settings_clear(&self->settings);
}

static void norms_are_not_computed_for_a_criterion_that_reads_none(void **state) {
  (void)state;
  bench self;
  show(&self, "random");
  assert_null(self.evidence.producer_norm);
  assert_null(self.evidence.consumer_norm);
  clear(&self);
}

static void norms_are_those_of_the_units_weights(void **state) {
  (void)state;
  bench self;
  show(&self, "magnitude");
  esp_model *dense = self.request->dense;
  assert_int_equal(esp_model_load_local(dense, 0), ESP_OK);
  const float *weights = dense->weights[dense->stages[0].consumer.weight].value;
  for (int u = 0; u < 4; u++) {
    double sum = 0.0;
    for (int o = 0; o < 3; o++) sum += (double)weights[o * 4 + u] * (double)weights[o * 4 + u];
    assert_true(fabs(self.evidence.consumer_norm[u] - sqrt(sum)) < 1e-9);
    assert_true(self.evidence.producer_norm[u] > 0.0);
  }
  esp_model_unload(dense, 0);
  clear(&self);
}

ESP_TEST_MAIN(cmocka_unit_test(norms_are_not_computed_for_a_criterion_that_reads_none),
              cmocka_unit_test(norms_are_those_of_the_units_weights))
