/* Fields of a configuration that fits its weights: the first byte chooses a model, the rest is a
 * JSON object whose members replace those of its config.json. What can be opened runs on a few
 * tokens. */
#include "fuzz.h"
#include "small.h"

#include "espalier/core/memory.h"
#include "espalier/model/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 2, LENGTH = 6, VOCABULARY = 11 };

#define SIZES                                                                                    \
  "\"hidden_size\":8,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":6," \
  "\"vocab_size\":11,\"max_position_embeddings\":16,\"type_vocab_size\":2"
static const char *const configs[] = {
    "{\"model_type\":\"llama\"," SIZES "}",
    "{\"model_type\":\"mistral\"," SIZES ",\"num_key_value_heads\":1,\"sliding_window\":null}",
    "{\"model_type\":\"qwen2\"," SIZES ",\"num_key_value_heads\":1,\"tie_word_embeddings\":true}",
    "{\"model_type\":\"qwen3\"," SIZES ",\"num_key_value_heads\":1,\"head_dim\":4}",
    "{\"model_type\":\"gpt2\",\"n_embd\":8,\"n_layer\":2,\"n_head\":2,\"n_inner\":6,"
    "\"vocab_size\":11,\"n_positions\":16}",
    "{\"model_type\":\"bert\"," SIZES ",\"architectures\":[\"BertForMaskedLM\"]}",
    "{\"model_type\":\"bert\"," SIZES
    ",\"architectures\":[\"BertForSequenceClassification\"],\"num_labels\":3}",
    "{\"model_type\":\"bert\"," SIZES ",\"architectures\":[\"BertModel\"]}",
};
enum { MODELS = sizeof configs / sizeof *configs };

static esp_dataset *data;

static const char *name_model(int i, const char *file) {
  static char name[64];
  snprintf(name, sizeof name, "model%d%s", i, file);
  return name;
}

static void make_model(int i) {
  esp_model *model;
  esp_model_files files;
  json_t *config = json_loads(configs[i], 0, NULL);
  ESP_ASSERT(esp_model_new(config, &model) == ESP_OK);
  esp_model_own_all(model);
  if (model->family->init) model->family->init(model, 1);
  fuzz_make_folder(name_model(i, ""));
  ESP_ASSERT(esp_model_write_safetensors(&fuzz_comm, model, fuzz_path(name_model(i, "")), 0,
                                         &files) == ESP_OK);
  esp_model_free(&model);
  json_decref(config);
}

void fuzz_start(void) {
  for (int i = 0; i < MODELS; i++) make_model(i);
  data = small_tokens_new(SAMPLES, LENGTH, VOCABULARY);
}

static void write_config(int i, const uint8_t *patch, size_t size) {
  json_t *config = json_loads(configs[i], 0, NULL);
  json_t *members = json_loadb((const char *)patch, size, 0, NULL);
  if (json_is_object(members)) json_object_update(config, members);
  char *text = json_dumps(config, JSON_COMPACT);
  fuzz_write(name_model(i, "/config.json"), text, strlen(text));
  free(text);
  json_decref(members);
  json_decref(config);
}

static void run_forward(esp_model *model) {
  esp_batch batch;
  esp_batch_buffer buffer = {0};
  esp_pass pass;
  if (!fuzz_is_ok(esp_model_check_data(model, data))) return;
  if (!fuzz_is_ok(esp_model_load_all(&fuzz_comm, model))) return;
  esp_dataset_read(data, NULL, 0, SAMPLES, &buffer, &batch);
  esp_pass_init(&pass, model, esp_batch_count_rows(&batch));
  esp_forward(model, &batch, &pass);
  fuzz_touch(pass.logits, esp_batch_count_outputs(model, &batch) * model->n_outputs *
                              (int64_t)sizeof *pass.logits);
  esp_pass_clear(&pass);
  esp_batch_buffer_clear(&buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  fuzz_input input = {bytes, size};
  esp_model *model;
  const int i = fuzz_take(&input) % MODELS;
  write_config(i, input.data, input.size);
  const esp_status status = esp_model_open(&fuzz_comm, fuzz_path(name_model(i, "")), &model);
  if (!fuzz_succeeded(status, model)) return 0;
  run_forward(model);
  esp_model_free(&model);
  return 0;
}
