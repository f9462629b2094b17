#include "unit.h"

#include "pruning.h"
#include "structure.h"

#include "espalier/prune/sketch.h"

#include <string.h>

typedef struct bench {
  esp_prune_settings settings;
  esp_prune_request *request;
} bench;

/* The request borrows the settings. */
static void make(bench *self, const char *const *options) {
  self->request = pruning_request(&self->settings, options);
}

static void clear(bench *self) {
  esp_prune_request_free(&self->request);
  esp_prune_settings_clear(&self->settings);
}

static void check_sparsity(const char *const *options, const double *expected) {
  bench self;
  make(&self, options);
  for (int i = 0; i <= self.request->dense->n_stages; i++)
    assert_true(self.request->sparsity[i] == expected[i]);
  clear(&self);
}

static void check_refused(const char *const *options, const char *part) {
  esp_prune_settings settings;
  esp_prune_request *request;
  pruning_set(&settings, options);
  assert_failure(esp_prune_request_new(&settings, pruning_model_new(), &request), ESP_USAGE, part);
  assert_null(request);
  esp_prune_settings_clear(&settings);
}

static void check_structures(const char *const *options, const char *first, const char *second) {
  bench self;
  make(&self, options);
  assert_string_equal(self.request->structures[0]->name, first);
  if (second)
    assert_string_equal(self.request->structures[1]->name, second);
  else
    assert_null(self.request->structures[1]);
  clear(&self);
}

static void request_takes_all_units_by_default(void **state) {
  (void)state;
  check_sparsity(OPTIONS("sparsity", "0.25"), (double[]){.25, .25, .25, .25, .25, .25, -1.0});
}

static void request_takes_kinds_and_single_sites_the_later_winning(void **state) {
  (void)state;
  check_sparsity(OPTIONS("sparsity", "0.5", "sites", "ffn=0.25,attention,ffn.1=0,width=0.125"),
                 (double[]){.5, .25, .5, 0.0, .5, .25, .125});
}

static void request_keeps_what_it_was_not_asked_for(void **state) {
  (void)state;
  check_sparsity(OPTIONS("sites", "attention.2"), (double[]){-1, -1, -1, -1, .5, -1, -1});
}

static void request_tells_own_sparsities(void **state) {
  (void)state;
  bench self;
  make(&self, OPTIONS("sites", "ffn=0.25,attention"));
  assert_true(self.request->is_fixed[1] && !self.request->is_fixed[0]);
  clear(&self);
}

static void request_refuses_unknown_sites_and_bad_sparsities(void **state) {
  (void)state;
  check_refused(OPTIONS("sites", "fnn"), "Known: attention, ffn, width, block");
  check_refused(OPTIONS("sites", "ffn=1"), "from 0 to below 1");
  check_refused(OPTIONS("sites", "ffn=x"), "from 0 to below 1");
  check_refused(OPTIONS("sites", "ffn=nan"), "from 0 to below 1");
}

static void request_finds_its_structures(void **state) {
  (void)state;
  check_structures(OPTIONS("sparsity", "0.5"), "units", NULL);
  check_structures(OPTIONS("sites", "width"), "units", "width");
  check_structures(OPTIONS("sites", "ffn,width=0.1"), "units", "width");
  check_structures(OPTIONS("criterion", "block"), "layers", NULL);
  check_structures(OPTIONS("sites", "block=0.4", "criterion", "block-cosine"), "layers", NULL);
  check_structures(OPTIONS("structure", "unstructured", "criterion", "wanda", "repair", "none"),
                   "masks", NULL);
}

static void layers_refuse_what_they_do_not_take(void **state) {
  (void)state;
  check_refused(OPTIONS("sites", "block"), "does not rank whole layers");
  check_refused(OPTIONS("sites", "block,ffn", "criterion", "block"), "second run");
  check_refused(OPTIONS("criterion", "block", "allocation", "global"), "choose uniform");
  check_refused(OPTIONS("criterion", "block", "repair", "least-squares"), "sequential or none");
  check_refused(OPTIONS("criterion", "block", "sites", "ffn"), "give --sites block");
}

static void masks_refuse_what_they_do_not_take(void **state) {
  (void)state;
  check_refused(OPTIONS("structure", "unstructured", "repair", "none"), "wanda or magnitude");
  check_refused(OPTIONS("structure", "unstructured", "criterion", "wanda"), "--repair none");
  check_refused(OPTIONS("structure", "unstructured", "criterion", "wanda", "repair", "none",
                        "sites", "width"),
                "no weights of its own");
  check_refused(OPTIONS("structure", "unstructured", "criterion", "wanda", "repair", "none",
                        "allocation", "global"),
                "nothing to share out");
  check_refused(OPTIONS("structure", "unstructured", "criterion", "wanda", "repair", "none",
                        "sites", "block"),
                "does not rank whole layers");
}

static void trials_are_refused_where_there_is_nothing_to_try(void **state) {
  (void)state;
  check_refused(OPTIONS("allocation", "balanced", "sites", "ffn"), "two kinds of sites");
  check_refused(OPTIONS("allocation", "balanced", "trial_tokens", "0"), "--trial-tokens");
  check_refused(OPTIONS("allocation", "balanced", "criterion", "max-entropy", "repair", "none"),
                "collects without any");
}

static void request_refuses_data_that_nothing_reads(void **state) {
  (void)state;
  check_refused(OPTIONS("criterion", "max-entropy", "repair", "none", "data", "x.h5"),
                "would not read x.h5");
}

static void structures_say_what_they_read(void **state) {
  (void)state;
  bench units;
  make(&units, OPTIONS("upper", "output", "repair", "none", "criterion", "mi"));
  assert_false(structures_read_covariance(units.request));
  assert_string_equal(structures_read_stream(units.request), "--upper output");
  bench layers;
  make(&layers, OPTIONS("criterion", "block"));
  assert_string_equal(structures_read_stream(layers.request), "--sites block");
  assert_false(structures_read_covariance(layers.request));
  clear(&units);
  clear(&layers);
}

static bool reads_statistics(const char *const *options) {
  bench self;
  make(&self, options);
  const bool reads = esp_prune_reads_statistics(self.request);
  clear(&self);
  return reads;
}

#define BY_WEIGHTS "repair", "none", "criterion"

static void weights_alone_read_no_statistics(void **state) {
  (void)state;
  assert_false(reads_statistics(OPTIONS(BY_WEIGHTS, "magnitude")));
  assert_false(reads_statistics(OPTIONS(BY_WEIGHTS, "random", "sites", "ffn,width")));
  assert_false(reads_statistics(OPTIONS(BY_WEIGHTS, "magnitude", "sites", "width")));
  assert_false(reads_statistics(OPTIONS(BY_WEIGHTS, "magnitude", "allocation", "global")));
  assert_false(reads_statistics(OPTIONS(BY_WEIGHTS, "magnitude", "recover_tokens", "9")));
  assert_false(reads_statistics(OPTIONS(BY_WEIGHTS, "magnitude", "structure", "unstructured")));
}

static void statistics_are_read_by_whatever_asks_for_them(void **state) {
  (void)state;
  assert_true(reads_statistics(OPTIONS(BY_WEIGHTS, "flap")));
  assert_true(reads_statistics(OPTIONS("criterion", "random", "repair", "bias")));
  assert_true(reads_statistics(OPTIONS(BY_WEIGHTS, "random", "allocation", "balanced")));
  assert_true(reads_statistics(
      OPTIONS("criterion", "magnitude", "repair", "sequential", "sites", "width")));
  assert_true(reads_statistics(OPTIONS(BY_WEIGHTS, "random", "stats", "s.h5")));
  assert_true(reads_statistics(OPTIONS(BY_WEIGHTS, "random", "keep_stats", "true")));
  assert_true(reads_statistics(
      OPTIONS(BY_WEIGHTS, "magnitude", "structure", "unstructured", "keep_stats", "true")));
}

/* Of each stage: f with second moments, c codes alone, - nothing. */
static void check_extent(const char *const *options, const char *sites, const char *rest) {
  bench self;
  make(&self, options);
  const esp_prune_extent *extent = &self.request->extent;
  for (int i = 0; i < self.request->dense->n_stages; i++)
    assert_int_equal(extent->full[i] ? 'f' : extent->sites[i] ? 'c' : '-', sites[i]);
  assert_int_equal(extent->codes, strstr(rest, "codes") != NULL);
  assert_int_equal(extent->logits, strstr(rest, "logits") != NULL);
  clear(&self);
}

static void criteria_by_moments_read_their_sites_alone(void **state) {
  (void)state;
  check_extent(OPTIONS("criterion", "flap", "sites", "ffn.1"), "---f--", "");
  check_extent(OPTIONS("criterion", "leverage"), "ffffff", "");
  check_extent(OPTIONS("criterion", "leverage", "moments", "codes", "sites", "ffn.1"), "---fc-",
               "codes");
}

static void criteria_of_information_read_codes_of_the_next_site_too(void **state) {
  (void)state;
  check_extent(OPTIONS("sites", "ffn.1"), "---fc-", "codes");
  check_extent(OPTIONS("sites", "ffn.2"), "-----f", "codes logits");
  check_extent(OPTIONS("sites", "attention", "criterion", "mi"), "fcfcfc", "codes");
  check_extent(OPTIONS("sites", "ffn.2", "upper", "output"), "-----f", "codes");
}

static void what_may_go_whole_is_not_the_last_that_is_read_above(void **state) {
  (void)state;
  check_extent(OPTIONS("sites", "ffn.1,attention.2", "allocation", "global", "max_sparsity", "1"),
               "---ffc", "codes");
}

static void other_structures_say_which_sites_they_read(void **state) {
  (void)state;
  check_extent(OPTIONS("sites", "width", "criterion", "flap"), "ffffff", "codes logits");
  check_extent(OPTIONS("criterion", "block"), "------", "codes");
  check_extent(OPTIONS("criterion", "block-cosine"), "------", "");
  check_extent(OPTIONS("structure", "unstructured", "criterion", "wanda", "repair", "none", "sites",
                       "ffn.1"),
               "---f--", "");
}

static esp_collect_options collection_of(const char *const *options) {
  bench self;
  make(&self, options);
  const esp_collect_options collect = esp_prune_collection_of(self.request).collect;
  clear(&self);
  return collect;
}

static void what_is_kept_has_all(void **state) {
  (void)state;
  const esp_collect_options kept =
      collection_of(OPTIONS("criterion", "flap", "sites", "ffn.1", "keep_stats", "true"));
  assert_true(!kept.only && !kept.full && kept.covariance && kept.halves);
  assert_false(kept.leaves_codes || kept.leaves_logits || kept.plain_streams || kept.plain_halves);
}

static void what_is_not_kept_has_what_is_read(void **state) {
  (void)state;
  const esp_collect_options flap = collection_of(OPTIONS("criterion", "flap", "repair", "none"));
  assert_true(!flap.only && flap.leaves_codes && flap.leaves_logits && flap.halves);
  assert_false(flap.covariance);
  const esp_collect_options tried =
      collection_of(OPTIONS("criterion", "flap", "repair", "none", "allocation", "balanced"));
  assert_true(tried.covariance && tried.plain_halves);
  assert_false(collection_of(OPTIONS("criterion", "random")).halves);
  assert_false(collection_of(OPTIONS("sites", "ffn.1")).plain_halves);
}

static void whole_groups_are_units_where_asked(void **state) {
  (void)state;
  bench self;
  make(&self, OPTIONS("heads", "group"));
  assert_int_equal(esp_prune_site_of(self.request->dense, 0).units, 2);
  assert_string_equal(esp_prune_site_of(self.request->dense, 6).name, ESP_SITE_WIDTH);
  assert_int_equal(esp_prune_site_of(self.request->dense, 6).units, 16);
  clear(&self);
}

ESP_TEST_MAIN(cmocka_unit_test(request_takes_all_units_by_default),
              cmocka_unit_test(request_takes_kinds_and_single_sites_the_later_winning),
              cmocka_unit_test(request_keeps_what_it_was_not_asked_for),
              cmocka_unit_test(request_tells_own_sparsities),
              cmocka_unit_test(request_refuses_unknown_sites_and_bad_sparsities),
              cmocka_unit_test(request_finds_its_structures),
              cmocka_unit_test(layers_refuse_what_they_do_not_take),
              cmocka_unit_test(masks_refuse_what_they_do_not_take),
              cmocka_unit_test(trials_are_refused_where_there_is_nothing_to_try),
              cmocka_unit_test(request_refuses_data_that_nothing_reads),
              cmocka_unit_test(structures_say_what_they_read),
              cmocka_unit_test(weights_alone_read_no_statistics),
              cmocka_unit_test(statistics_are_read_by_whatever_asks_for_them),
              cmocka_unit_test(criteria_by_moments_read_their_sites_alone),
              cmocka_unit_test(criteria_of_information_read_codes_of_the_next_site_too),
              cmocka_unit_test(what_may_go_whole_is_not_the_last_that_is_read_above),
              cmocka_unit_test(other_structures_say_which_sites_they_read),
              cmocka_unit_test(what_is_kept_has_all),
              cmocka_unit_test(what_is_not_kept_has_what_is_read),
              cmocka_unit_test(whole_groups_are_units_where_asked))
