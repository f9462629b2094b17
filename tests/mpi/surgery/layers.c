#include "espalier/surgery/repair.h"

#include "espalier/collect/collect.h"
#include "espalier/core/hash.h"
#include "mpi.h"
#include "small.h"
#include "transformer.h"

enum { SAMPLES = 24, LENGTH = 8, MICRO_BATCH = 3, HIDDEN = 12, VOCABULARY = 11, LAYERS = 4 };

static const char llama[] =
    "{\"model_type\": \"llama\", \"hidden_size\": 12, \"num_hidden_layers\": 4,"
    " \"num_attention_heads\": 2, \"num_key_value_heads\": 1, \"head_dim\": 4,"
    " \"intermediate_size\": 10, \"vocab_size\": 11, \"max_position_embeddings\": 16,"
    " \"layer_types\": [\"full_attention\", \"full_attention\", \"full_attention\", "
    "\"full_attention\"],"
    " \"per_layer_config\": {\"1\": {\"intermediate_size\": 6}, \"3\": {\"intermediate_size\": "
    "7}}}";
static const char gpt2[] =
    "{\"model_type\": \"gpt2\", \"n_embd\": 12, \"n_layer\": 4, \"n_head\": 3, \"n_positions\": 16,"
    " \"vocab_size\": 11}";
static const char shallow[] =
    "{\"model_type\": \"gpt2\", \"n_embd\": 12, \"n_layer\": 1, \"n_head\": 3, \"n_positions\": 16,"
    " \"vocab_size\": 11}";
static const char bert[] =
    "{\"model_type\": \"bert\", \"architectures\": [\"BertForSequenceClassification\"],"
    " \"hidden_size\": 12, \"num_hidden_layers\": 4, \"num_attention_heads\": 3,"
    " \"intermediate_size\": 10, \"vocab_size\": 11, \"max_position_embeddings\": 16,"
    " \"type_vocab_size\": 2, \"num_labels\": 3}";

static esp_model *open_model(const char *config, bool has_prefix) {
  esp_model *made = transformer_new(json_loads(config, 0, NULL)), *model = NULL;
  const size_t skipped = has_prefix ? 0 : strlen(made->prefix);
  for (int w = 0; w < made->n_weights; w++) {
    char *name = esp_strdup(made->weights[w].name + skipped);
    esp_free(&made->weights[w].name);
    made->weights[w].name = name;
  }
  ESP_ASSERT(small_model_save(&test_comm, made, test_path("dense.h5")) == ESP_OK);
  ESP_ASSERT(esp_model_open(&test_comm, test_path("dense.h5"), &model) == ESP_OK);
  esp_model_free(&made);
  return model;
}

static esp_dataset *make_data(void) {
  esp_dataset *data = small_tokens_new(SAMPLES, LENGTH, VOCABULARY);
  data->lengths = ESP_NEW(int32_t, SAMPLES);
  for (int i = 0; i < SAMPLES; i++) data->lengths[i] = LENGTH - i % 3;
  return data;
}

typedef struct bench {
  esp_dataset *data;
  esp_batch_buffer buffer;
  esp_batch batch; // all samples
  esp_model *dense, *pruned;
  int64_t kept[LAYERS];
  int64_t n_kept;
} bench;

static void open_bench(bench *self, const char *config, const int64_t *kept, int64_t n_kept) {
  *self = (bench){.data = make_data(), .n_kept = n_kept};
  memcpy(self->kept, kept, (size_t)n_kept * sizeof *kept);
  self->dense = open_model(config, true);
  ESP_ASSERT(esp_model_drop_layers(self->dense, kept, n_kept, &self->pruned) == ESP_OK);
  esp_dataset_read(self->data, NULL, 0, SAMPLES, &self->buffer, &self->batch);
}

static void load(bench *self) {
  ESP_ASSERT(esp_model_load_all(&test_comm, self->dense) == ESP_OK);
  ESP_ASSERT(esp_model_load_all(&test_comm, self->pruned) == ESP_OK);
}

static void close_bench(bench *self) {
  esp_model_free(&self->pruned);
  esp_model_free(&self->dense);
  esp_batch_buffer_clear(&self->buffer);
  esp_dataset_close(&self->data);
}

static int64_t count_logits(const bench *self) {
  return esp_batch_count_outputs(self->dense, &self->batch) * self->dense->n_outputs;
}

static void run_stage(const esp_call *call, esp_pass *pass) {
  esp_call_produce(call, pass->state, pass->x);
  esp_call_consume(call, pass->x, pass->state);
  esp_call_finish(call, pass->state);
}

/* The dense model's own stages, those of the removed layers passed over. */
static float *run_kept(const bench *self) {
  const esp_model *dense = self->dense;
  float *logits = ESP_NEW(float, count_logits(self));
  esp_pass pass;
  esp_pass_init(&pass, dense, SAMPLES * LENGTH);
  esp_call call = {
      .model = dense, .stage = ESP_STAGE_EMBED, .batch = self->batch, .workspace = &pass.workspace};
  esp_call_embed(&call, pass.state);
  for (int64_t i = 0; i < 2 * self->n_kept; i++) {
    call.stage = (int)(2 * self->kept[i / 2] + i % 2);
    run_stage(&call, &pass);
  }
  call.stage = dense->n_stages;
  esp_call_head(&call, pass.state, logits);
  esp_pass_clear(&pass);
  return logits;
}

static bool is_same_as_passing_over(const char *config, const int64_t *kept, int64_t n_kept) {
  bench self;
  open_bench(&self, config, kept, n_kept);
  load(&self);
  float *want = run_kept(&self), *found = transformer_run(self.pruned, &self.batch);
  const bool is_same = transformer_is_same(want, found, 0, count_logits(&self));
  esp_free(&want);
  esp_free(&found);
  close_bench(&self);
  return is_same;
}

static void drop_layers_passes_over_their_stages_in_every_family(void **state) {
  (void)state;
  static const int64_t kept[2] = {1, 3}, last[1] = {3}, all[4] = {0, 1, 2, 3};
  const char *const configs[] = {llama, gpt2, bert};
  for (unsigned i = 0; i < ESP_COUNT(configs); i++) {
    ASSERT_ALL(is_same_as_passing_over(configs[i], kept, 2));
    ASSERT_ALL(is_same_as_passing_over(configs[i], last, 1));
    ASSERT_ALL(is_same_as_passing_over(configs[i], all, 4));
  }
}

static void silence(esp_model *model, int stage) {
  const esp_linear *linear = &model->stages[stage].consumer;
  const int weights[2] = {linear->weight, linear->bias};
  for (int i = 0; i < 2 && weights[i] >= 0; i++)
    esp_weight_own(&model->weights[weights[i]]); // zeroed
}

/* Layers that write nothing to the stream might as well not be there. */
static bool is_same_as_silence(const char *config) {
  static const int64_t kept[2] = {0, 2};
  bench self;
  open_bench(&self, config, kept, 2);
  load(&self);
  for (int stage = 0; stage < 8; stage++)
    if (stage / 2 % 2 == 1) silence(self.dense, stage);
  float *want = transformer_run(self.dense, &self.batch);
  float *found = transformer_run(self.pruned, &self.batch);
  const bool is_same = transformer_is_same(want, found, 0, count_logits(&self));
  esp_free(&want);
  esp_free(&found);
  close_bench(&self);
  return is_same;
}

static void drop_layers_is_the_dense_model_with_their_writers_zeroed(void **state) {
  (void)state;
  ASSERT_ALL(is_same_as_silence(llama));
  ASSERT_ALL(is_same_as_silence(gpt2));
}

static int64_t size_of(const esp_model *model, const char *layer) {
  const json_t *all = json_object_get(model->config, "per_layer_config");
  return json_integer_value(json_object_get(json_object_get(all, layer), "intermediate_size"));
}

static void drop_layers_numbers_the_configuration_anew(void **state) {
  (void)state;
  static const int64_t kept[3] = {0, 2, 3};
  bench self;
  open_bench(&self, llama, kept, 3);
  const json_t *config = self.pruned->config;
  ASSERT_ALL(json_integer_value(json_object_get(config, "num_hidden_layers")) == 3);
  ASSERT_ALL(json_array_size(json_object_get(config, "layer_types")) == 3);
  ASSERT_ALL(size_of(self.pruned, "1") == 0 && size_of(self.pruned, "2") == 7);
  ASSERT_ALL(self.pruned->n_weights < self.dense->n_weights && self.pruned->n_stages == 6);
  ASSERT_ALL(esp_model_count_layers(self.dense) == 4 && esp_model_count_layers(self.pruned) == 3);
  close_bench(&self);
}

static void drop_layers_keeps_names_as_the_checkpoint_has_them(void **state) {
  (void)state;
  static const int64_t kept[1] = {2};
  for (int has_prefix = 0; has_prefix < 2; has_prefix++) {
    esp_model *dense = open_model(gpt2, has_prefix), *pruned = NULL;
    ASSERT_ALL(esp_model_drop_layers(dense, kept, 1, &pruned) == ESP_OK);
    const char *name = pruned->weights[pruned->stages[1].consumer.weight].name;
    ASSERT_ALL(strcmp(name, has_prefix ? "transformer.h.0.mlp.c_proj.weight"
                                       : "h.0.mlp.c_proj.weight") == 0);
    esp_model_free(&pruned);
    esp_model_free(&dense);
  }
}

static esp_status repair(bench *self, const char *name, esp_journal *journal) {
  const esp_shard_options options = {.micro_batch = MICRO_BATCH, .seed = 1};
  const esp_repair *with = NULL;
  esp_shard shard;
  esp_repair_report report = {0};
  esp_shard_init(&shard, &test_comm, self->data, &options);
  ESP_ASSERT(esp_repair_find(name, &with) == ESP_OK);
  esp_repair_job job = {.comm = &test_comm,
                        .dense = self->dense,
                        .pruned = self->pruned,
                        .shard = &shard,
                        .journal = journal,
                        .report = &report};
  const esp_status status = with->apply_to_layers(&job, self->kept);
  ASSERT_ALL(strcmp(name, "sequential") != 0 || report.n == 2 * self->n_kept);
  esp_shard_clear(&shard);
  esp_repair_report_clear(&report);
  return status;
}

/* Mean square of the difference of the logits of tokens that are not padding. */
static double compare_repaired(const char *config, const char *name) {
  static const int64_t kept[3] = {0, 2, 3};
  bench self;
  open_bench(&self, config, kept, 3);
  ASSERT_ALL(repair(&self, name, NULL) == ESP_OK);
  load(&self);
  float *a = transformer_run(self.dense, &self.batch);
  float *b = transformer_run(self.pruned, &self.batch);
  const bool is_by_row = self.dense->task != ESP_TASK_CLASSIFY;
  const int64_t n = self.dense->n_outputs * (is_by_row ? LENGTH : 1);
  double sum = 0.0;
  for (int64_t s = 0; s < SAMPLES; s++)
    for (int64_t i = 0; i < (is_by_row ? self.data->lengths[s] * VOCABULARY : n); i++)
      sum += pow((double)(a[s * n + i] - b[s * n + i]), 2.0);
  esp_free(&a);
  esp_free(&b);
  close_bench(&self);
  return sum;
}

static void sequential_repair_of_layers_brings_the_logits_nearer(void **state) {
  (void)state;
  const char *const configs[] = {gpt2, bert};
  for (unsigned i = 0; i < ESP_COUNT(configs); i++) {
    const double none = compare_repaired(configs[i], "none");
    const double repaired = compare_repaired(configs[i], "sequential");
    print_message("%.2f  ", repaired / none);
    ASSERT_ALL(repaired < 0.8 * none && repaired > 0.0);
  }
}

static void bias_repair_of_layers_changes_nothing(void **state) {
  (void)state;
  ASSERT_ALL(compare_repaired(gpt2, "bias") == compare_repaired(gpt2, "none"));
}

/* Hash of all weights without layer 1, repaired. */
static uint64_t hash_repaired(const char *config, esp_journal *journal) {
  static const int64_t kept[3] = {0, 2, 3};
  uint64_t hash = 0;
  bench self;
  open_bench(&self, config, kept, 3);
  ASSERT_ALL(repair(&self, "sequential", journal) == ESP_OK);
  load(&self);
  for (int w = 0; w < self.pruned->n_weights; w++) {
    const esp_weight *weight = &self.pruned->weights[w];
    hash = esp_hash(hash, weight->value, (size_t)esp_weight_count(weight) * sizeof(float));
  }
  close_bench(&self);
  return hash;
}

static esp_journal *open_journal(const char *name) {
  esp_journal *journal = NULL;
  json_t *description = json_object();
  ASSERT_ALL(esp_journal_open(&test_comm, test_path(name), description, false, &journal) == ESP_OK);
  json_decref(description);
  return journal;
}

/* What a run has kept that was killed when n stages were repaired. */
static esp_journal *make_killed(esp_journal *whole, int n) {
  esp_journal *journal = open_journal("killed");
  for (int i = 0; i < n; i++) {
    const char *name = esp_journal_name_local(whole, i);
    const int64_t bytes = esp_journal_find_local(whole, name);
    char *data = ESP_NEW(char, bytes);
    ASSERT_ALL(esp_journal_read(whole, name, data) == ESP_OK);
    ASSERT_ALL(esp_journal_append(journal, name, data, bytes) == ESP_OK);
    esp_free(&data);
  }
  return journal;
}

static void sequential_repair_of_layers_goes_on_after_any_stage(void **state) {
  (void)state;
  const char *const configs[] = {gpt2, bert};
  for (unsigned i = 0; i < ESP_COUNT(configs); i++) {
    esp_journal *whole = open_journal("whole");
    const uint64_t want = hash_repaired(configs[i], whole);
    ASSERT_ALL(esp_journal_count_local(whole) == 6);
    for (int n = 3; n <= 6; n += 3) {
      esp_journal *killed = make_killed(whole, n);
      ASSERT_ALL(hash_repaired(configs[i], killed) == want && esp_journal_count_local(killed) == 6);
      esp_journal_close(&killed, ESP_OK);
    }
    esp_journal_close(&whole, ESP_OK);
  }
}

/* Nothing is missing where no layer went, so nothing changes. */
static void sequential_repair_of_all_layers_changes_nothing(void **state) {
  (void)state;
  static const int64_t all[1] = {0};
  bench self;
  open_bench(&self, shallow, all, 1);
  ASSERT_ALL(repair(&self, "sequential", NULL) == ESP_OK);
  load(&self);
  float *want = transformer_run(self.dense, &self.batch);
  float *found = transformer_run(self.pruned, &self.batch);
  double worst = 0.0;
  for (int64_t i = 0; i < count_logits(&self); i++)
    worst = fmax(worst, fabs((double)(want[i] - found[i])));
  ASSERT_ALL(worst < 1e-3);
  esp_free(&want);
  esp_free(&found);
  close_bench(&self);
}

/* By plain loops over all samples at once. */
static void compute_cosines(const bench *self, double *cosines) {
  const int64_t rows = SAMPLES * LENGTH;
  float *before = ESP_NEW(float, rows *HIDDEN);
  esp_pass pass;
  esp_pass_init(&pass, self->dense, rows);
  esp_call call = {.model = self->dense,
                   .stage = ESP_STAGE_EMBED,
                   .batch = self->batch,
                   .workspace = &pass.workspace};
  esp_call_embed(&call, pass.state);
  for (int stage = 0; stage < 2 * LAYERS; stage++) {
    if (stage % 2 == 0) memcpy(before, pass.state, (size_t)(rows * HIDDEN) * sizeof *before);
    call.stage = stage;
    run_stage(&call, &pass);
    double sum = 0.0, n = 0.0;
    for (int64_t r = 0; r < rows; r++) {
      double ab = 0.0, aa = 0.0, bb = 0.0;
      for (int64_t j = r * HIDDEN; j < (r + 1) * HIDDEN; j++) {
        ab += (double)before[j] * (double)pass.state[j];
        aa += (double)before[j] * (double)before[j];
        bb += (double)pass.state[j] * (double)pass.state[j];
      }
      const bool is_valid = r % LENGTH < self->data->lengths[r / LENGTH];
      sum += is_valid ? ab / sqrt(aa * bb) : 0.0;
      n += is_valid;
    }
    cosines[stage / 2] = sum / n;
  }
  esp_pass_clear(&pass);
  esp_free(&before);
}

static void collect_layers(bench *self, esp_stats **stats) {
  const esp_shard_options options = {.micro_batch = MICRO_BATCH, .seed = 1};
  const esp_collect_options what = {.bins = 2, .pilot = 64, .width = true, .top_units = VOCABULARY};
  const char *path = test_path("stats.h5");
  esp_shard shard;
  esp_shard_init(&shard, &test_comm, self->data, &options);
  json_t *meta = small_meta_new(&test_comm, self->dense, self->data, MICRO_BATCH);
  ESP_ASSERT(esp_collect(&test_comm, self->dense, &shard, &what, meta, path) == ESP_OK);
  ESP_ASSERT(esp_stats_open(&test_comm, path, stats) == ESP_OK);
  esp_shard_clear(&shard);
}

static void collect_measures_the_cosine_around_every_layer(void **state) {
  (void)state;
  static const int64_t all[4] = {0, 1, 2, 3};
  double want[LAYERS], found[LAYERS] = {0};
  bench self;
  esp_stats *stats = NULL;
  open_bench(&self, llama, all, 4);
  collect_layers(&self, &stats);
  load(&self);
  compute_cosines(&self, want);
  ASSERT_ALL(esp_stats_load_layers(stats, LAYERS, found) == ESP_OK);
  for (int l = 0; l < LAYERS; l++) ASSERT_ALL(fabs(want[l] - found[l]) < 1e-6);
  esp_stats_close(&stats);
  close_bench(&self);
}

ESP_TEST_MAIN(cmocka_unit_test(drop_layers_passes_over_their_stages_in_every_family),
              cmocka_unit_test(drop_layers_is_the_dense_model_with_their_writers_zeroed),
              cmocka_unit_test(drop_layers_numbers_the_configuration_anew),
              cmocka_unit_test(drop_layers_keeps_names_as_the_checkpoint_has_them),
              cmocka_unit_test(sequential_repair_of_layers_brings_the_logits_nearer),
              cmocka_unit_test(bias_repair_of_layers_changes_nothing),
              cmocka_unit_test(sequential_repair_of_layers_goes_on_after_any_stage),
              cmocka_unit_test(sequential_repair_of_all_layers_changes_nothing),
              cmocka_unit_test(collect_measures_the_cosine_around_every_layer))
