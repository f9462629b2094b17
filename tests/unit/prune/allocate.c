#include "unit.h"

#include "allocate.h"
#include "keep.h"
#include "pruning.h"

/* Ranked from the first unit to the last; scores fall. */
typedef struct bench {
  esp_prune_settings settings;
  esp_prune_request *request;
  int64_t *order[6];
  double *scores[6];
  esp_allocation_report report;
} bench;

static void make(bench *self, const char *const *options) {
  *self = (bench){0};
  self->request = pruning_request(&self->settings, options);
  for (int s = 0; s < 6; s++) {
    const int64_t units = self->request->dense->stages[s].units;
    self->order[s] = ESP_NEW(int64_t, units);
    self->scores[s] = ESP_NEW(double, units);
    for (int64_t u = 0; u < units; u++) {
      self->order[s][u] = u;
      self->scores[s][u] = (double)(units - u) * (s + 1);
    }
  }
}

static void run(bench *self) {
  const allocate_task task = {.request = self->request,
                              .allocation = self->request->allocation,
                              .sparsity = self->request->sparsity,
                              .order = self->order,
                              .scores = self->scores};
  assert_int_equal(allocate_units(&task, &self->report), ESP_OK);
}

static void clear(bench *self) {
  for (int s = 0; s < 6; s++) {
    esp_free(&self->order[s]);
    esp_free(&self->scores[s]);
  }
  allocation_report_clear(&self->report);
  esp_prune_request_free(&self->request);
  esp_prune_settings_clear(&self->settings);
}

static void check(const char *const *options, const int64_t *expected) {
  bench self;
  make(&self, options);
  run(&self);
  for (int s = 0; s < 6; s++) assert_int_equal(self.report.n_kept[s], expected[s]);
  clear(&self);
}

/* 4 heads in 2 groups go by twos. */
static void uniform_takes_the_same_fraction_of_every_site(void **state) {
  (void)state;
  check(OPTIONS("sparsity", "0.5"), (int64_t[]){2, 12, 2, 12, 2, 12});
  check(OPTIONS("sparsity", "0.25"), (int64_t[]){4, 18, 4, 18, 4, 18});
}

static void multiples_and_least_counts_are_for_neurons(void **state) {
  (void)state;
  check(OPTIONS("sparsity", "0.5", "multiple_of", "8"), (int64_t[]){2, 16, 2, 16, 2, 16});
  check(OPTIONS("sparsity", "0.9", "min_keep", "10"), (int64_t[]){2, 10, 2, 10, 2, 10});
}

static void sites_that_were_not_chosen_stay_whole(void **state) {
  (void)state;
  check(OPTIONS("sites", "ffn.1=0.5"), (int64_t[]){4, 24, 4, 12, 4, 24});
}

/* Half of what the neurons' matrices have: 3 x 24 x 16 each layer. */
static void got_is_the_part_of_the_chosen_matrices(void **state) {
  (void)state;
  bench self;
  make(&self, OPTIONS("sites", "ffn", "sparsity", "0.5"));
  run(&self);
  assert_true(self.report.got == 0.5 && self.report.asked == 0.5);
  assert_string_equal(self.report.name, "uniform");
  clear(&self);
}

static void global_takes_the_cheapest_and_says_its_price(void **state) {
  (void)state;
  bench self;
  make(&self, OPTIONS("allocation", "global", "sites", "ffn", "sparsity", "0.5"));
  run(&self);
  assert_true(self.report.is_by_price && !self.report.is_in_nats && self.report.threshold > 0.0);
  assert_true(self.report.got > 0.47 && self.report.got < 0.53);
  clear(&self);
}

static void groups_keep_equally_many(void **state) {
  (void)state;
  bench self;
  make(&self, OPTIONS("sparsity", "0.5"));
  esp_selection selection;
  esp_selection_init(&selection, 6);
  keep_first(&self.request->dense->stages[0], 0, (int64_t[]){3, 2, 1, 0}, 2, &selection);
  assert_int_equal(selection.kept[0][0], 1);
  assert_int_equal(selection.kept[0][1], 3);
  esp_selection_clear(&selection);
  clear(&self);
}

static void dimensions_have_a_sparsity_of_their_own(void **state) {
  (void)state;
  bench self;
  make(&self, OPTIONS("sites", "width=0.25"));
  assert_int_equal(request_count_width(self.request), 12);
  clear(&self);
}

ESP_TEST_MAIN(cmocka_unit_test(uniform_takes_the_same_fraction_of_every_site),
              cmocka_unit_test(multiples_and_least_counts_are_for_neurons),
              cmocka_unit_test(sites_that_were_not_chosen_stay_whole),
              cmocka_unit_test(got_is_the_part_of_the_chosen_matrices),
              cmocka_unit_test(global_takes_the_cheapest_and_says_its_price),
              cmocka_unit_test(groups_keep_equally_many),
              cmocka_unit_test(dimensions_have_a_sparsity_of_their_own))
