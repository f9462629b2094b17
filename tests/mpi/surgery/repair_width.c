#include "espalier/surgery/repair.h"

#include "espalier/collect/collect.h"
#include "mpi.h"
#include "small.h"
#include "surgery_internal.h"
#include "transformer.h"

enum { SAMPLES = 24, LENGTH = 8, MICRO_BATCH = 3, HIDDEN = 16, KEPT = 12, VOCABULARY = 11 };

static const char untied[] =
    "{\"model_type\": \"llama\", \"hidden_size\": 16, \"num_hidden_layers\": 2,"
    " \"num_attention_heads\": 2, \"num_key_value_heads\": 1, \"head_dim\": 4,"
    " \"intermediate_size\": 10, \"vocab_size\": 11, \"max_position_embeddings\": 16}";
static const char tied[] =
    "{\"model_type\": \"llama\", \"hidden_size\": 16, \"num_hidden_layers\": 1,"
    " \"num_attention_heads\": 2, \"num_key_value_heads\": 1, \"head_dim\": 4, \"attention_bias\": "
    "true,"
    " \"intermediate_size\": 10, \"vocab_size\": 11, \"max_position_embeddings\": 16,"
    " \"tie_word_embeddings\": true}";

typedef struct bench {
  esp_dataset *data;
  esp_shard shard;
  esp_stats *stats;
  esp_model *dense, *pruned;
  esp_selection selection;
  esp_repair_report report;
} bench;

static void open_model(bench *self, const char *config) {
  esp_model *made = transformer_new(json_loads(config, 0, NULL));
  ESP_ASSERT(small_model_save(&test_comm, made, test_path("dense.h5")) == ESP_OK);
  ESP_ASSERT(esp_model_open(&test_comm, test_path("dense.h5"), &self->dense) == ESP_OK);
  esp_model_free(&made);
}

static void collect(bench *self) {
  const esp_collect_options options = {
      .bins = 2, .pilot = 64, .covariance = true, .width = true, .top_units = VOCABULARY};
  json_t *meta = small_meta_new(&test_comm, self->dense, self->data, MICRO_BATCH);
  const char *path = test_path("stats.h5");
  ESP_ASSERT(esp_collect(&test_comm, self->dense, &self->shard, &options, meta, path) == ESP_OK);
  ESP_ASSERT(esp_stats_open(&test_comm, path, &self->stats) == ESP_OK);
}

/* All units but the last four hidden dimensions. */
static void select_units(bench *self, int64_t n_width) {
  const int n = self->dense->n_stages;
  esp_selection_init(&self->selection, n);
  for (int i = 0; i <= n; i++) {
    const int64_t units = i < n ? self->dense->stages[i].units : n_width;
    self->selection.n_kept[i] = units;
    self->selection.kept[i] = ESP_NEW(int64_t, units);
    for (int64_t u = 0; u < units; u++) self->selection.kept[i][u] = u;
  }
}

static bench open_bench(const char *config, int64_t n_width) {
  bench self = {.data = small_tokens_new(SAMPLES, LENGTH, VOCABULARY)};
  const esp_shard_options options = {.micro_batch = MICRO_BATCH, .seed = 1};
  open_model(&self, config);
  esp_shard_init(&self.shard, &test_comm, self.data, &options);
  collect(&self);
  select_units(&self, n_width);
  ESP_ASSERT(esp_model_cut(self.dense, &self.selection, &self.pruned) == ESP_OK);
  return self;
}

static void close_bench(bench *self) {
  esp_selection_clear(&self->selection);
  esp_model_free(&self->pruned);
  esp_model_free(&self->dense);
  esp_stats_close(&self->stats);
  esp_shard_clear(&self->shard);
  esp_dataset_close(&self->data);
  esp_repair_report_clear(&self->report);
}

static esp_status repair(bench *self, const char *name) {
  const esp_repair *with = NULL;
  ESP_ASSERT(esp_repair_find(name, &with) == ESP_OK);
  esp_repair_job job = {.comm = &test_comm,
                        .dense = self->dense,
                        .pruned = self->pruned,
                        .selection = &self->selection,
                        .stats = self->stats,
                        .shard = &self->shard,
                        .ridge = 1e-6,
                        .report = &self->report};
  return with->apply(&job);
}

/* Mean square of the difference of the logits over all samples. */
static double compare(bench *self) {
  esp_batch_buffer buffer = {0};
  esp_batch batch;
  double sum = 0.0;
  ESP_ASSERT(esp_model_load_all(&test_comm, self->dense) == ESP_OK);
  ESP_ASSERT(esp_model_load_all(&test_comm, self->pruned) == ESP_OK);
  esp_dataset_read(self->data, NULL, 0, SAMPLES, &buffer, &batch);
  float *a = transformer_run(self->dense, &batch), *b = transformer_run(self->pruned, &batch);
  const int n = SAMPLES * LENGTH * VOCABULARY;
  for (int i = 0; i < n; i++) sum += (double)(a[i] - b[i]) * (double)(a[i] - b[i]) / n;
  esp_free(&a);
  esp_free(&b);
  esp_batch_buffer_clear(&buffer);
  return sum;
}

static double compare_repaired(const char *config, const char *name) {
  bench self = open_bench(config, KEPT);
  ASSERT_ALL(repair(&self, name) == ESP_OK);
  const double error = compare(&self);
  close_bench(&self);
  return error;
}

static void least_squares_of_readers_brings_the_logits_nearer(void **state) {
  (void)state;
  ASSERT_ALL(compare_repaired(untied, "least-squares") < 0.8 * compare_repaired(untied, "none"));
}

static void sequential_of_readers_brings_the_logits_nearer_still(void **state) {
  (void)state;
  ASSERT_ALL(compare_repaired(untied, "sequential") < compare_repaired(untied, "least-squares"));
}

static void repair_keeps_a_model_whose_width_is_whole(void **state) {
  (void)state;
  bench self = open_bench(untied, HIDDEN);
  ASSERT_ALL(repair(&self, "sequential") == ESP_OK);
  ASSERT_ALL(compare(&self) < 1e-4);
  close_bench(&self);
}

static void repair_leaves_a_tied_head_alone(void **state) {
  (void)state;
  bench self = open_bench(tied, KEPT);
  ASSERT_ALL(repair(&self, "sequential") == ESP_OK && compare(&self) > 0.0);
  bool is_same = true;
  for (int64_t i = 0; i < VOCABULARY * KEPT; i++)
    is_same &= self.pruned->weights[0].value[i] ==
               self.dense->weights[0].value[i / KEPT * HIDDEN + i % KEPT];
  ASSERT_ALL(is_same);
  close_bench(&self);
}

static void sequential_reports_every_reader(void **state) {
  (void)state;
  bench self = open_bench(tied, KEPT);
  ASSERT_ALL(repair(&self, "sequential") == ESP_OK);
  const esp_repair_row *query =
      esp_repair_report_find(&self.report, "model.layers.0.self_attn.q_proj.weight");
  const esp_repair_row *up =
      esp_repair_report_find(&self.report, "model.layers.0.mlp.up_proj.weight");
  ASSERT_ALL(query && query->has_fit && query->fit.error_before > 0.0);
  ASSERT_ALL(up && up->has_fit && up->fit.error_after <= up->fit.error_before);
  ASSERT_ALL(!esp_repair_report_find(&self.report, "model.embed_tokens.weight"));
  close_bench(&self);
}

static void collect_stores_what_the_readers_read(void **state) {
  (void)state;
  bench self = open_bench(untied, KEPT);
  for (int stage = 0; stage <= self.dense->n_stages; stage++) {
    esp_site_stats site;
    const esp_site_name name = esp_stats_name_reader(self.dense, stage);
    ASSERT_ALL(esp_stats_load_site(self.stats, name.text, HIDDEN, ESP_LOAD_COVARIANCE, &site) ==
               ESP_OK);
    ASSERT_ALL(site.variance[0] > 0.0 && site.covariance[0] > 0.0f);
    esp_site_stats_clear(&site);
  }
  ASSERT_ALL(strcmp(esp_stats_name_reader(self.dense, 4).text, "width.head") == 0);
  close_bench(&self);
}

/* One rank reads a broken weight. */
static void repair_with_one_bad_rank_fails_on_all(void **state) {
  (void)state;
  bench self = open_bench(untied, KEPT);
  const int norm = transformer_find_weight(self.dense, "model.norm.weight");
  ESP_ASSERT(esp_model_load_all(&test_comm, self.dense) == ESP_OK);
  float *values = esp_weight_own(&self.dense->weights[norm]);
  for (int i = 0; i < HIDDEN; i++) values[i] = test_comm.rank == 0 ? NAN : 1.0f;
  ASSERT_ALL(repair(&self, "sequential") == ESP_NUMERIC);
  close_bench(&self);
}

/* What a record holds was solved of systems up to this size: its own, those below, its readers. */
static void unknowns_are_those_of_all_that_a_record_depends_on(void **state) {
  (void)state;
  const int64_t whole[] = {8, 10, 10, 10},
                cut[] = {9, 10, 10, 10}; // 8 of heads, 10 neurons, width 9
  bench self = open_bench(untied, HIDDEN), narrow = open_bench(untied, 9);
  const esp_repair_job alone = {.pruned = self.pruned},
                       job = {.pruned = narrow.pruned, .selection = &narrow.selection};
  bool same = true;
  for (int s = 0; s < self.dense->n_stages; s++)
    same = same && consumer_count_unknowns_local(&alone, s) == whole[s] &&
           consumer_count_unknowns_local(&job, s) == cut[s];
  ASSERT_ALL(same);
  close_bench(&self);
  close_bench(&narrow);
}

ESP_TEST_MAIN(cmocka_unit_test(unknowns_are_those_of_all_that_a_record_depends_on),
              cmocka_unit_test(least_squares_of_readers_brings_the_logits_nearer),
              cmocka_unit_test(sequential_of_readers_brings_the_logits_nearer_still),
              cmocka_unit_test(repair_keeps_a_model_whose_width_is_whole),
              cmocka_unit_test(repair_leaves_a_tied_head_alone),
              cmocka_unit_test(sequential_reports_every_reader),
              cmocka_unit_test(collect_stores_what_the_readers_read),
              cmocka_unit_test(repair_with_one_bad_rank_fails_on_all))
