#include "espalier/surgery/cut.h"

#include "mpi.h"
#include "small.h"
#include "transformer.h"

enum { TOKENS = 6, HIDDEN = 12, KEPT = 9 };

static const int64_t kept[KEPT] = {0, 1, 3, 4, 6, 7, 8, 10, 11}; // 2, 5, 9 go
static const int32_t tokens[2 * TOKENS] = {1, 5, 2, 9, 0, 3, 7, 7, 4, 10, 8, 6};

static const char llama[] =
    "{\"model_type\": \"llama\", \"hidden_size\": 12, \"num_hidden_layers\": 2,"
    " \"num_attention_heads\": 6, \"num_key_value_heads\": 2, \"head_dim\": 4, \"rms_norm_eps\": "
    "1e-12,"
    " \"intermediate_size\": 10, \"vocab_size\": 11, \"max_position_embeddings\": 64}";
static const char gpt2[] =
    "{\"model_type\": \"gpt2\", \"n_embd\": 12, \"n_layer\": 2, \"n_head\": 3, \"n_positions\": 16,"
    " \"vocab_size\": 11}";
static const char bert[] =
    "{\"model_type\": \"bert\", \"architectures\": [\"BertForSequenceClassification\"],"
    " \"hidden_size\": 12, \"num_hidden_layers\": 2, \"num_attention_heads\": 3,"
    " \"intermediate_size\": 10, \"vocab_size\": 11, \"max_position_embeddings\": 16,"
    " \"type_vocab_size\": 2, \"num_labels\": 3}";

static const esp_batch batch = {
    .kind = ESP_DATA_TOKENS, .count = 2, .width = TOKENS, .tokens = tokens};

static bool is_kept(int64_t unit) {
  for (int k = 0; k < KEPT; k++)
    if (kept[k] == unit) return true;
  return false;
}

/* Nothing is written to the dimensions that go: columns of the embedding and rows of the consumers
 * are 0. */
static void silence(esp_model *model) {
  for (int s = 0; s < model->width.n_slices; s++) {
    const esp_slice slice = model->width.slices[s];
    const int stage = model->weights[slice.weight].stage;
    const bool is_consumer = stage >= 0 && stage < model->n_stages &&
                             slice.weight == model->stages[stage].consumer.weight;
    for (int64_t u = 0; u < HIDDEN; u++)
      if ((stage == ESP_STAGE_EMBED || is_consumer) && !is_kept(u))
        transformer_set_unit(model, slice, u, 0.0f);
  }
}

static esp_model *open_model(const char *config, bool is_silent) {
  esp_model *made = transformer_new(json_loads(config, 0, NULL)), *model = NULL;
  if (is_silent) silence(made);
  ESP_ASSERT(small_model_save(&test_comm, made, test_path("width.h5")) == ESP_OK);
  ESP_ASSERT(esp_model_open(&test_comm, test_path("width.h5"), &model) == ESP_OK);
  esp_model_free(&made);
  return model;
}

typedef struct bench {
  esp_model *dense, *pruned;
  esp_selection selection;
} bench;

static bench open_bench(const char *config, bool is_silent, bool cuts_width) {
  bench self = {.dense = open_model(config, is_silent)};
  const int n = self.dense->n_stages;
  esp_selection_init(&self.selection, n);
  for (int i = 0; i < n; i++) {
    self.selection.n_kept[i] = self.dense->stages[i].units;
    self.selection.kept[i] = ESP_NEW(int64_t, self.dense->stages[i].units);
    for (int64_t u = 0; u < self.dense->stages[i].units; u++) self.selection.kept[i][u] = u;
  }
  if (cuts_width) {
    self.selection.n_kept[n] = KEPT;
    self.selection.kept[n] = ESP_NEW(int64_t, KEPT);
    memcpy(self.selection.kept[n], kept, sizeof kept);
  }
  ESP_ASSERT(esp_model_cut(self.dense, &self.selection, &self.pruned) == ESP_OK);
  ESP_ASSERT(esp_model_load_all(&test_comm, self.dense) == ESP_OK);
  ESP_ASSERT(esp_model_load_all(&test_comm, self.pruned) == ESP_OK);
  return self;
}

static void close_bench(bench *self) {
  esp_selection_clear(&self->selection);
  esp_model_free(&self->pruned);
  esp_model_free(&self->dense);
}

/* A mean of squares over 9 instead of 12 dimensions, three of which are 0, is 12/9 of what it was.
 */
static void scale_norms(esp_model *model) {
  for (int w = 0; w < model->n_weights; w++)
    if (strstr(model->weights[w].name, "norm.weight"))
      for (int i = 0; i < KEPT; i++)
        model->weights[w].value[i] *= sqrtf((float)HIDDEN / (float)KEPT);
}

static void model_cut_of_dimensions_that_are_never_written_changes_nothing(void **state) {
  (void)state;
  bench self = open_bench(llama, true, true);
  scale_norms(self.pruned);
  float *want = transformer_run(self.dense, &batch), *found = transformer_run(self.pruned, &batch);
  double worst = 0.0;
  for (int i = 0; i < 2 * TOKENS * 11; i++) worst = fmax(worst, fabs((double)(want[i] - found[i])));
  ASSERT_ALL(worst < 1e-4);
  esp_free(&want);
  esp_free(&found);
  close_bench(&self);
}

/* Every axis of the hidden size is cut, no other. */
static void check_shapes(const char *config) {
  bench self = open_bench(config, false, true);
  bool is_right = true;
  for (int w = 0; w < self.dense->n_weights; w++)
    for (int axis = 0; axis < self.dense->weights[w].rank; axis++) {
      const int64_t n = self.dense->weights[w].shape[axis];
      const bool is_cut = esp_model_has_width_axis(self.dense, w, axis);
      is_right &= self.pruned->weights[w].shape[axis] == (is_cut ? KEPT : n);
    }
  ASSERT_ALL(is_right && self.pruned->width.units == KEPT);
  float *logits = transformer_run(self.pruned, &batch);
  ASSERT_ALL(isfinite(logits[0]));
  esp_free(&logits);
  close_bench(&self);
}

static void model_cut_of_the_width_cuts_every_weight_of_a_family(void **state) {
  (void)state;
  check_shapes(llama);
  check_shapes(gpt2);
  check_shapes(bert);
}

static void model_cut_gathers_rows_and_columns_of_the_width(void **state) {
  (void)state;
  bench self = open_bench(llama, false, true);
  const esp_linear *down = &self.dense->stages[1].consumer;
  const float *whole = self.dense->weights[down->weight].value;
  const float *cut = self.pruned->weights[down->weight].value;
  bool is_same = true;
  for (int64_t i = 0; i < KEPT * down->inputs; i++)
    is_same &= cut[i] == whole[kept[i / down->inputs] * down->inputs + i % down->inputs];
  for (int64_t i = 0; i < 11 * KEPT; i++)
    is_same &= self.pruned->weights[0].value[i] ==
               self.dense->weights[0].value[i / KEPT * HIDDEN + kept[i % KEPT]];
  ASSERT_ALL(is_same);
  close_bench(&self);
}

static void model_cut_without_a_choice_leaves_the_width_whole(void **state) {
  (void)state;
  bench self = open_bench(bert, false, false);
  float *want = transformer_run(self.dense, &batch), *found = transformer_run(self.pruned, &batch);
  ASSERT_ALL(self.pruned->width.units == HIDDEN && transformer_is_same(want, found, 0, 2 * 3));
  esp_free(&want);
  esp_free(&found);
  close_bench(&self);
}

/* What a stage's readers get is what it produces from. */
static void get_readers_are_those_of_the_stage(void **state) {
  (void)state;
  esp_model *model = transformer_new(json_loads(llama, 0, NULL));
  const int counts[] = {3, 2, 3, 2, 1};
  for (int stage = 0; stage <= model->n_stages; stage++) {
    int n;
    const esp_reader *readers = esp_model_get_readers(model, stage, &n);
    ASSERT_ALL(n == counts[stage] && readers->stage == stage && readers->linear.inputs == HIDDEN);
  }
  esp_model_free(&model);
}

ESP_TEST_MAIN(cmocka_unit_test(model_cut_of_dimensions_that_are_never_written_changes_nothing),
              cmocka_unit_test(model_cut_of_the_width_cuts_every_weight_of_a_family),
              cmocka_unit_test(model_cut_gathers_rows_and_columns_of_the_width),
              cmocka_unit_test(model_cut_without_a_choice_leaves_the_width_whole),
              cmocka_unit_test(get_readers_are_those_of_the_stage))
