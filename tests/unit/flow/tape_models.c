/* Gradients of whole transformers against differences along a random direction of each weight. */
#include "unit.h"

#include "tape.h"

#include "gradients.h"
#include "transformer.h"

#include <omp.h>

/* Two sequences of six, some padded. */
static const int32_t tokens[12] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8};
static const int32_t types[12] = {0, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1};
static const int32_t lengths[2] = {6, 4};
static const esp_batch batch = {.kind = ESP_DATA_TOKENS,
                                .count = 2,
                                .width = 6,
                                .tokens = tokens,
                                .types = types,
                                .lengths = lengths};

static json_t *llama_config(const char *type) {
  return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b}", "model_type", type,
                   "hidden_size", 8, "num_hidden_layers", 2, "num_attention_heads", 4,
                   "num_key_value_heads", 2, "head_dim", 4, "intermediate_size", 10, "vocab_size",
                   11, "max_position_embeddings", 16, "tie_word_embeddings", 0);
}

static json_t *gpt2_config(void) {
  return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i}", "model_type", "gpt2", "n_embd", 8,
                   "n_head", 2, "n_layer", 2, "vocab_size", 11, "n_positions", 8, "n_inner", 10);
}

static json_t *bert_config(const char *architecture) {
  return json_pack("{s:s, s:[s], s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "model_type", "bert",
                   "architectures", architecture, "hidden_size", 8, "num_attention_heads", 2,
                   "intermediate_size", 6, "num_hidden_layers", 2, "vocab_size", 11,
                   "max_position_embeddings", 8, "type_vocab_size", 2);
}

static void set_dlogits(const esp_model *model, esp_tape *tape) {
  const int64_t n = esp_batch_count_outputs(model, &batch) * model->n_outputs;
  for (int64_t i = 0; i < n; i++) tape->dlogits[i] = (float)esp_rng_normal(6, 0, (uint64_t)i);
}

/* sum dlogits . logits with a weight moved by h times a random direction. */
static double move(esp_model *model, const esp_tape *tape, int w, double h) {
  esp_weight *weight = &model->weights[w];
  const int64_t n = esp_weight_count(weight);
  const int64_t outputs = esp_batch_count_outputs(model, &batch) * model->n_outputs;
  float *kept = ESP_NEW(float, n);
  double sum = 0.0;
  memcpy(kept, weight->value, (size_t)n * sizeof *kept);
  for (int64_t i = 0; i < n; i++)
    weight->value[i] += (float)(h * esp_rng_normal(7, (uint64_t)w, (uint64_t)i));
  float *logits = transformer_run(model, &batch);
  for (int64_t i = 0; i < outputs; i++) sum += (double)tape->dlogits[i] * (double)logits[i];
  memcpy(weight->value, kept, (size_t)n * sizeof *kept);
  esp_free(&logits);
  esp_free(&kept);
  return sum;
}

/* Differences of fourth order, as a large step keeps rounding down. */
static void check_weight(esp_model *model, const esp_tape *tape, int w, const float *gradient) {
  const double h = 0.003;
  const double near = move(model, tape, w, h) - move(model, tape, w, -h);
  const double far = move(model, tape, w, 2.0 * h) - move(model, tape, w, -2.0 * h);
  const double slope = (8.0 * near - far) / (12.0 * h);
  double expected = 0.0;
  for (int64_t i = 0; i < esp_weight_count(&model->weights[w]); i++)
    expected += (double)gradient[i] * esp_rng_normal(7, (uint64_t)w, (uint64_t)i);
  if (!(fabs(slope - expected) < 3e-3 * (1.0 + fabs(expected))))
    fail_msg("%s: %g, expected %g", model->weights[w].name, expected, slope);
}

/* Scratch of any content: NaN here. */
static void soil(esp_workspace *workspace) {
  enum { BYTES = 1 << 16 };
  const esp_workspace_mark mark = esp_workspace_set_mark(workspace);
  memset(ESP_TAKE(workspace, char, BYTES), 0xff, BYTES);
  esp_workspace_release(workspace, mark);
}

static void check_model(json_t *config) {
  esp_model *model = transformer_new(config);
  float **gradients = gradients_new(model);
  esp_tape tape;
  esp_tape_init(&tape, model, 12);
  soil(&tape.workspace);
  esp_tape_forward(model, &batch, &tape);
  set_dlogits(model, &tape);
  esp_tape_backward(model, &batch, &tape, gradients);
  for (int w = 0; w < model->n_weights; w++) check_weight(model, &tape, w, gradients[w]);
  esp_tape_clear(&tape, model);
  gradients_free(model, &gradients);
  esp_model_free(&model);
}

static void esp_tape_backward_matches_differences_of_llama(void **state) {
  (void)state;
  check_model(llama_config("llama"));
}

static void esp_tape_backward_matches_differences_of_qwen(void **state) {
  (void)state;
  check_model(llama_config("qwen2"));
  check_model(llama_config("qwen3"));
}

static void esp_tape_backward_matches_differences_of_gpt2(void **state) {
  (void)state;
  check_model(gpt2_config());
}

static void esp_tape_backward_matches_differences_of_bert(void **state) {
  (void)state;
  check_model(bert_config("BertModel"));
  check_model(bert_config("BertForMaskedLM"));
  check_model(bert_config("BertForSequenceClassification"));
}

/* The gradient of the embedding's result, (12, 8). */
static void run_states(json_t *config, bool with_weights, float *dstate) {
  esp_model *model = transformer_new(config);
  float **gradients = with_weights ? gradients_new(model) : NULL;
  esp_tape tape;
  esp_tape_init(&tape, model, 12);
  soil(&tape.workspace);
  esp_tape_forward(model, &batch, &tape);
  set_dlogits(model, &tape);
  esp_tape_backward(model, &batch, &tape, gradients);
  memcpy(dstate, tape.dstate, 12 * 8 * sizeof *dstate);
  esp_tape_clear(&tape, model);
  if (gradients) gradients_free(model, &gradients);
  esp_model_free(&model);
}

static json_t *with_layers(json_t *config, json_t *layers) {
  json_object_set_new(config, "per_layer_config", layers);
  return config;
}

/* The first layer has no attention, the second no feed-forward part. */
static void esp_tape_backward_matches_differences_around_empty_sub_layers(void **state) {
  (void)state;
  check_model(with_layers(llama_config("llama"),
                          json_pack("{s:{s:i, s:i}, s:{s:i}}", "0", "num_attention_heads", 0,
                                    "num_key_value_heads", 0, "1", "intermediate_size", 0)));
  check_model(with_layers(gpt2_config(),
                          json_pack("{s:{s:i}, s:{s:i}}", "0", "n_head", 0, "1", "n_inner", 0)));
  check_model(with_layers(
      bert_config("BertForSequenceClassification"),
      json_pack("{s:{s:i}, s:{s:i}}", "0", "num_attention_heads", 0, "1", "intermediate_size", 0)));
}

static void esp_tape_backward_goes_without_gradients_of_weights(void **state) {
  (void)state;
  float with[96], without[96];
  json_t *const configs[2][2] = {{llama_config("qwen3"), llama_config("qwen3")},
                                 {bert_config("BertForMaskedLM"), bert_config("BertForMaskedLM")}};
  for (int i = 0; i < 2; i++) {
    run_states(configs[i][0], true, with);
    run_states(configs[i][1], false, without);
    assert_memory_equal(with, without, sizeof with);
  }
}

static void esp_tape_backward_does_not_depend_on_threads(void **state) {
  (void)state;
  float one[96], many[96];
  omp_set_num_threads(1);
  run_states(gpt2_config(), true, one);
  omp_set_num_threads(3);
  run_states(gpt2_config(), true, many);
  omp_set_num_threads(1);
  assert_memory_equal(one, many, sizeof one);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_tape_backward_matches_differences_of_llama),
              cmocka_unit_test(esp_tape_backward_matches_differences_of_qwen),
              cmocka_unit_test(esp_tape_backward_matches_differences_of_gpt2),
              cmocka_unit_test(esp_tape_backward_matches_differences_of_bert),
              cmocka_unit_test(esp_tape_backward_matches_differences_around_empty_sub_layers),
              cmocka_unit_test(esp_tape_backward_goes_without_gradients_of_weights),
              cmocka_unit_test(esp_tape_backward_does_not_depend_on_threads))
