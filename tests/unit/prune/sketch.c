#include "unit.h"

#include "cost.h"
#include "pruning.h"

#include "espalier/prune/cost.h"

typedef struct bench {
  esp_prune_settings settings;
  esp_prune_request *request;
  esp_prune_sketch *sketch;
  esp_shard_shape samples;
  esp_stats_shape stats;
} bench;

/* On so many ranks, with 8 micro-batches of 64 rows. */
static void make(bench *self, int ranks, const char *const *options) {
  self->request = pruning_request(&self->settings, options);
  assert_int_equal(esp_prune_sketch_new(self->request, ranks, &self->sketch), ESP_OK);
  self->samples = cost_samples_new(ranks, 8, 64, 16);
  esp_stats_shape_init(&self->stats, &self->samples, 4, true);
}

static void clear(bench *self) {
  esp_stats_shape_clear(&self->stats);
  esp_shard_shape_clear(&self->samples);
  esp_prune_sketch_free(&self->sketch);
  esp_prune_request_free(&self->request);
  esp_prune_settings_clear(&self->settings);
}

static esp_selection_cost cost_of(int ranks, const char *const *options) {
  bench self;
  esp_selection_cost cost = {0};
  make(&self, ranks, options);
  esp_prune_add_selection_cost(self.sketch, &self.stats, &cost);
  clear(&self);
  return cost;
}

static void sketch_keeps_the_first_units(void **state) {
  (void)state;
  bench self;
  make(&self, 1, OPTIONS("sparsity", "0.5", "sites", "ffn,attention", "allocation", "uniform"));
  assert_int_equal(self.sketch->selection.n_kept[0], 2); // a head of each group
  assert_int_equal(self.sketch->selection.n_kept[1], 12);
  for (int64_t i = 0; i < 12; i++) assert_int_equal(self.sketch->selection.kept[1][i], i);
  assert_int_equal(self.sketch->pruned->stages[1].units, 12);
  assert_true(self.sketch->n_layers < 0);
  assert_false(self.sketch->is_priced || self.sketch->tries);
  clear(&self);
}

/* The smallest cut by which as many parameters of the sites go as were asked for. */
static void sketch_of_a_global_allocation_removes_parameters(void **state) {
  (void)state;
  bench self;
  make(&self, 1, OPTIONS("sparsity", "0.5", "allocation", "global", "criterion", "magnitude"));
  const double dense = (double)esp_model_count_parameters(self.request->dense);
  const double fixed = 2.0 * 11 * 16 + 7 * 16; // embedding, head, norms
  const double left = (double)esp_model_count_parameters(self.sketch->pruned) - fixed;
  assert_true(self.sketch->is_priced);
  assert_true(left / (dense - fixed) > 0.4 && left / (dense - fixed) < 0.6);
  clear(&self);
}

static void sketch_cuts_the_width(void **state) {
  (void)state;
  bench self;
  make(&self, 1, OPTIONS("sites", "width=0.25"));
  assert_int_equal(self.sketch->selection.n_kept[6], 12);
  assert_int_equal(self.sketch->pruned->width.units, 12);
  assert_int_equal(self.sketch->pruned->stages[1].units, 24);
  clear(&self);
}

static void sketch_drops_layers(void **state) {
  (void)state;
  bench self;
  make(&self, 1, OPTIONS("criterion", "block", "sparsity", "0.34", "repair", "none"));
  assert_int_equal(self.sketch->n_layers, 2);
  assert_int_equal(self.sketch->pruned->n_stages, 4);
  clear(&self);
}

static void sketch_masks_what_it_does_not_shrink(void **state) {
  (void)state;
  bench self;
  make(&self, 1, OPTIONS("structure", "unstructured", "criterion", "magnitude", "repair", "none"));
  int masked = 0;
  for (int w = 0; w < self.sketch->pruned->n_weights; w++)
    masked += self.sketch->pruned->weights[w].mask != NULL;
  assert_int_equal(masked, 3 * 5); // keys and values are of all heads of a group
  assert_int_equal(self.sketch->pruned->stages[1].units, 24);
  assert_false(esp_prune_selects(self.sketch));
  clear(&self);
}

static void selection_sends_nothing_alone(void **state) {
  (void)state;
  const esp_selection_cost alone = cost_of(1, OPTIONS("criterion", "mi"));
  const esp_selection_cost both = cost_of(2, OPTIONS("criterion", "mi"));
  assert_true(cost_sent(&alone.counts) == 0.0 && cost_sent(&alone.select) == 0.0);
  assert_true(cost_sent(&both.counts) > 0.0 && cost_sent(&both.select) > 0.0);
}

static void selection_counts_what_the_criterion_reads(void **state) {
  (void)state;
  const esp_selection_cost mi = cost_of(1, OPTIONS("criterion", "mi"));
  const esp_selection_cost pairs = cost_of(1, OPTIONS("criterion", "mi-jmi", "targets", "2"));
  const esp_selection_cost twice = cost_of(1, OPTIONS("criterion", "mi", "allocation", "global"));
  assert_true(pairs.counts.work.words > mi.counts.work.words);
  assert_true(twice.counts.work.words > mi.counts.work.words); // priced, then selected
}

static void width_adds_its_readers(void **state) {
  (void)state;
  const char *const units[] = {"criterion", "mi", "sites", "ffn", NULL};
  const char *const both[] = {"criterion", "mi", "sites", "ffn,width=0.25", NULL};
  const esp_selection_cost less = cost_of(1, units), more = cost_of(1, both);
  assert_true(more.counts.work.words > less.counts.work.words);
}

static void stability_needs_two_halves(void **state) {
  (void)state;
  bench self;
  make(&self, 1, OPTIONS("criterion", "mi"));
  assert_true(esp_prune_measures_stability(self.sketch, 8));
  assert_false(esp_prune_measures_stability(self.sketch, 1));
  clear(&self);
  make(&self, 1, OPTIONS("criterion", "magnitude"));
  assert_false(esp_prune_measures_stability(self.sketch, 8));
  clear(&self);
}

static double file_bytes(const char *const *options) {
  bench self;
  make(&self, 1, options);
  const double bytes = esp_prune_file_bytes(self.sketch, 0);
  assert_true(esp_prune_file_bytes(self.sketch, 2) > bytes);
  clear(&self);
  return bytes;
}

/* Indices of 12 dimensions more, and the scores of 16. */
static void file_has_what_is_kept_of_each_structure(void **state) {
  (void)state;
  const double units = file_bytes(OPTIONS("sites", "ffn"));
  const double both = file_bytes(OPTIONS("sites", "ffn,width=0.25"));
  assert_true(both - units >= 8.0 * (12 + 16));
  assert_true(file_bytes(OPTIONS("criterion", "block", "repair", "none")) < units);
}

ESP_TEST_MAIN(cmocka_unit_test(sketch_keeps_the_first_units),
              cmocka_unit_test(sketch_of_a_global_allocation_removes_parameters),
              cmocka_unit_test(sketch_cuts_the_width), cmocka_unit_test(sketch_drops_layers),
              cmocka_unit_test(sketch_masks_what_it_does_not_shrink),
              cmocka_unit_test(selection_sends_nothing_alone),
              cmocka_unit_test(selection_counts_what_the_criterion_reads),
              cmocka_unit_test(width_adds_its_readers),
              cmocka_unit_test(stability_needs_two_halves),
              cmocka_unit_test(file_has_what_is_kept_of_each_structure))
