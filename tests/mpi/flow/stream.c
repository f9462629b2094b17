/* A stream of every rank's micro-batches against whole passes of the same model. */
#include "espalier/flow/stream.h"

#include "mpi.h"
#include "small.h"
#include "tape.h"
#include "transformer.h"

enum { SAMPLES = 7, LENGTH = 5, MICRO_BATCH = 2, VOCABULARY = 11 };

static const char *const configs[] = {
    "{\"model_type\": \"llama\", \"hidden_size\": 12, \"num_hidden_layers\": 2,"
    " \"num_attention_heads\": 2, \"num_key_value_heads\": 1, \"head_dim\": 4,"
    " \"intermediate_size\": 10, \"vocab_size\": 11, \"max_position_embeddings\": 16}",
    "{\"model_type\": \"gpt2\", \"n_embd\": 12, \"n_layer\": 2, \"n_head\": 3, \"n_positions\": 16,"
    " \"vocab_size\": 11, \"per_layer_config\": {\"1\": {\"n_inner\": 0}}}",
    "{\"model_type\": \"bert\", \"architectures\": [\"BertForSequenceClassification\"],"
    " \"hidden_size\": 12, \"num_hidden_layers\": 2, \"num_attention_heads\": 3,"
    " \"intermediate_size\": 10, \"vocab_size\": 11, \"max_position_embeddings\": 16,"
    " \"type_vocab_size\": 2, \"num_labels\": 3}"};

typedef struct bench {
  esp_model *model;
  esp_dataset *data;
  esp_shard shard;
  esp_stream stream;
} bench;

static void open_bench(bench *self, const char *config, bool keeps_states) {
  self->model = transformer_new(json_loads(config, 0, NULL));
  self->data = small_tokens_new(SAMPLES, LENGTH, VOCABULARY);
  const esp_shard_options options = {.micro_batch = MICRO_BATCH, .seed = 3};
  esp_shard_init(&self->shard, &test_comm, self->data, &options);
  esp_stream_init(&self->stream, &(esp_stream_options){.model = self->model,
                                                       .shard = &self->shard,
                                                       .first = self->shard.first,
                                                       .count = self->shard.count,
                                                       .is_checked = true,
                                                       .keeps_states = keeps_states});
}

static void close_bench(bench *self) {
  esp_stream_clear(&self->stream);
  esp_shard_clear(&self->shard);
  esp_dataset_close(&self->data);
  esp_model_free(&self->model);
}

/* Logits of micro-batch i, and those of a whole pass. */
static bool has_the_logits_of_a_pass(bench *self, int64_t i) {
  const esp_step step = esp_stream_step(&self->stream, self->model->n_stages, i);
  const int64_t outputs = esp_batch_count_outputs(self->model, &step.call.batch);
  const int64_t n = outputs * self->model->n_outputs;
  float *logits = ESP_NEW(float, n), *want = transformer_run(self->model, &step.call.batch);
  const bool is_same =
      esp_step_run_head(&step, logits) == ESP_OK && transformer_is_same(logits, want, 0, n);
  esp_free(&logits);
  esp_free(&want);
  return is_same;
}

static void esp_stream_run_gives_the_logits_of_a_whole_pass(void **state) {
  (void)state;
  for (unsigned c = 0; c < 2 * ESP_COUNT(configs); c++) {
    bench self;
    open_bench(&self, configs[c / 2], c % 2);
    ASSERT_ALL(esp_stream_run(&self.stream, NULL) == ESP_OK);
    bool is_same = true;
    for (int64_t i = 0; i < self.stream.count; i++)
      is_same = is_same && has_the_logits_of_a_pass(&self, i);
    ASSERT_ALL(is_same);
    close_bench(&self);
  }
}

/* A step gives x and the next state as a tape of the whole model has them. */
static bool is_on_tape(bench *self, const esp_tape *tape, int stage, int64_t i) {
  const esp_stage *at = &self->model->stages[stage];
  const esp_step step = esp_stream_step(&self->stream, stage, i);
  const int64_t rows = esp_call_count_rows(&step.call), n = esp_stage_features(at);
  float *x = ESP_NEW(float, rows *n);
  bool is_same = transformer_is_same(step.state, tape->state[stage], 0, rows * at->state_in);
  is_same = is_same && esp_step_advance(&step, x) == ESP_OK;
  is_same = is_same && transformer_is_same(x, tape->x[stage], 0, rows * n);
  is_same =
      is_same && transformer_is_same(step.next, tape->state[stage + 1], 0, rows * at->state_out);
  esp_free(&x);
  return is_same;
}

static bool goes_along_the_tape(bench *self, int64_t i) {
  esp_tape tape;
  const esp_step first = esp_stream_step(&self->stream, ESP_STAGE_EMBED, i);
  esp_tape_init(&tape, self->model, self->stream.rows);
  esp_tape_forward(self->model, &first.call.batch, &tape);
  bool is_same = true;
  for (int stage = 0; stage < self->model->n_stages && is_same; stage++)
    is_same = is_on_tape(self, &tape, stage, i);
  esp_tape_clear(&tape, self->model);
  return is_same;
}

static void esp_step_advance_gives_the_states_of_a_tape(void **state) {
  (void)state;
  for (unsigned c = 0; c < 2 * ESP_COUNT(configs); c++) {
    bench self;
    open_bench(&self, configs[c / 2], c % 2);
    ASSERT_ALL(esp_stream_embed(&self.stream) == ESP_OK);
    bool is_same = true;
    for (int64_t i = 0; i < self.stream.count; i++)
      is_same = is_same && goes_along_the_tape(&self, i);
    ASSERT_ALL(is_same);
    close_bench(&self);
  }
}

static void set_dlogits(const esp_model *model, const esp_batch *batch, float *dlogits) {
  const int64_t n = esp_batch_count_outputs(model, batch) * model->n_outputs;
  for (int64_t i = 0; i < n; i++) dlogits[i] = (float)esp_rng_normal(6, 0, (uint64_t)i);
}

static void return_heads(bench *self, float *dlogits) {
  for (int64_t i = 0; i < self->stream.count; i++) {
    const esp_step step = esp_stream_step(&self->stream, self->model->n_stages, i);
    set_dlogits(self->model, &step.call.batch, dlogits);
    esp_step_return_head(&step, dlogits, NULL);
  }
}

/* The gradient of the embedding's result by a tape, and by the states that a stream has kept. */
static bool has_the_gradient_of_the_tape(bench *self, int64_t i) {
  const esp_model *model = self->model;
  const esp_step step = esp_stream_step(&self->stream, 0, i);
  const int64_t n = esp_call_count_rows(&step.call) * model->width.units;
  esp_tape tape;
  esp_tape_init(&tape, model, self->stream.rows);
  esp_tape_forward(model, &step.call.batch, &tape);
  set_dlogits(model, &step.call.batch, tape.dlogits);
  esp_tape_backward(model, &step.call.batch, &tape, NULL);
  const bool is_same = transformer_is_same(step.dstate, tape.dstate, 0, n);
  esp_tape_clear(&tape, model);
  return is_same;
}

static void esp_stream_return_gives_the_gradients_of_a_tape(void **state) {
  (void)state;
  for (unsigned c = 0; c < ESP_COUNT(configs); c++) {
    bench self;
    open_bench(&self, configs[c], true);
    float *x = ESP_NEW(float, self.stream.rows *self.model->max_features);
    float *dlogits = ESP_NEW(float, self.stream.rows *self.model->n_outputs);
    ASSERT_ALL(esp_stream_run(&self.stream, x) == ESP_OK);
    return_heads(&self, dlogits);
    for (int stage = self.model->n_stages - 1; stage >= 0; stage--)
      esp_stream_return(&self.stream, stage, x, NULL);
    bool is_same = true;
    for (int64_t i = 0; i < self.stream.count; i++)
      is_same = is_same && has_the_gradient_of_the_tape(&self, i);
    ASSERT_ALL(is_same);
    esp_free(&dlogits);
    esp_free(&x);
    close_bench(&self);
  }
}

/* Two of all four micro-batches, whoever has them. */
static void esp_stream_takes_any_micro_batches(void **state) {
  (void)state;
  bench self;
  open_bench(&self, configs[0], false);
  esp_stream_clear(&self.stream);
  const int64_t numbers[2] = {3, 1};
  esp_stream_init(&self.stream,
                  &(esp_stream_options){
                      .model = self.model, .shard = &self.shard, .numbers = numbers, .count = 2});
  ASSERT_ALL(esp_stream_run(&self.stream, NULL) == ESP_OK);
  const esp_step last = esp_stream_step(&self.stream, 0, 0);
  ASSERT_ALL(last.call.batch.count == SAMPLES - 3 * MICRO_BATCH);
  for (int64_t i = 0; i < 2; i++) ASSERT_ALL(has_the_logits_of_a_pass(&self, i));
  close_bench(&self);
}

static esp_status run_heads(bench *self) {
  float *logits = ESP_NEW(float, self->stream.rows * self->model->n_outputs);
  esp_status status = ESP_OK;
  for (int64_t i = 0; i < self->stream.count && status == ESP_OK; i++) {
    const esp_step step = esp_stream_step(&self->stream, self->model->n_stages, i);
    status = esp_step_run_head(&step, logits);
  }
  esp_free(&logits);
  return status;
}

/* Weights of one rank's model give activations, or logits, that are not finite. */
static void check_bad_weight(const char *name, const char *part) {
  for (int bad = 0; bad < test_comm.size; bad++) {
    bench self;
    open_bench(&self, configs[0], false);
    float *value = self.model->weights[transformer_find_weight(self.model, name)].value;
    if (test_comm.rank == bad) value[0] = NAN; // there are as many micro-batches as ranks
    esp_status status = esp_agree(&test_comm, esp_stream_run(&self.stream, NULL));
    if (status == ESP_OK) status = esp_agree(&test_comm, run_heads(&self));
    ASSERT_ALL(status == ESP_NUMERIC && strstr(esp_failure_text(), part));
    close_bench(&self);
  }
}

static void a_bad_activation_of_one_rank_is_agreed_on(void **state) {
  (void)state;
  check_bad_weight("model.layers.1.mlp.up_proj.weight", "site 'ffn.1'");
  check_bad_weight("lm_head.weight", "site 'logits'");
}

static void a_bad_stored_weight_of_one_rank_is_agreed_on(void **state) {
  (void)state;
  bench self;
  open_bench(&self, configs[0], false);
  esp_weight *weight = &self.model->weights[transformer_find_weight(self.model, "lm_head.weight")];
  float *stored = weight->value;
  if (test_comm.rank == test_comm.size - 1) stored[3] = NAN;
  weight->stored = stored;
  weight->value = NULL;
  weight->is_owned = weight->is_final = false;
  ASSERT_ALL(esp_stream_load(&test_comm, &self.stream, self.model->n_stages) == ESP_NUMERIC);
  ASSERT_ALL(strstr(esp_failure_text(), "lm_head.weight") != NULL);
  close_bench(&self);
  esp_free(&stored);
}

/* Who checks a sum that they go into reads numbers that are not finite. */
static void an_unchecked_stream_passes_what_is_not_finite(void **state) {
  (void)state;
  bench self;
  open_bench(&self, configs[1], false);
  esp_stream_clear(&self.stream);
  esp_stream_init(&self.stream,
                  &(esp_stream_options){.model = self.model, .shard = &self.shard, .count = 1});
  self.model->weights[self.model->stages[0].consumer.weight].value[0] = INFINITY;
  ASSERT_ALL(esp_stream_run(&self.stream, NULL) == ESP_OK);
  close_bench(&self);
}

/* Two streams of one shard by turns, with the same scratch memory. */
static void streams_share_scratch(void **state) {
  (void)state;
  bench self;
  esp_stream other;
  open_bench(&self, configs[2], false);
  esp_stream_init(&other, &(esp_stream_options){.model = self.model,
                                                .shard = &self.shard,
                                                .first = self.shard.first,
                                                .count = self.shard.count,
                                                .workspace = self.stream.workspace});
  ASSERT_ALL(esp_stream_run(&other, NULL) == ESP_OK);
  ASSERT_ALL(esp_stream_run(&self.stream, NULL) == ESP_OK);
  const int64_t n = other.count * other.rows * self.model->max_state;
  ASSERT_ALL(transformer_is_same(other.states, self.stream.states, 0, n));
  ASSERT_ALL(other.own.first == NULL);
  esp_stream_clear(&other);
  close_bench(&self);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_stream_run_gives_the_logits_of_a_whole_pass),
              cmocka_unit_test(esp_step_advance_gives_the_states_of_a_tape),
              cmocka_unit_test(esp_stream_return_gives_the_gradients_of_a_tape),
              cmocka_unit_test(esp_stream_takes_any_micro_batches),
              cmocka_unit_test(a_bad_activation_of_one_rank_is_agreed_on),
              cmocka_unit_test(a_bad_stored_weight_of_one_rank_is_agreed_on),
              cmocka_unit_test(an_unchecked_stream_passes_what_is_not_finite),
              cmocka_unit_test(streams_share_scratch))
