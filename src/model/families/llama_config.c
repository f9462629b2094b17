/* config.json of Llama, Mistral, Qwen2 and Qwen3: one set of keys, a few of them with other
 * defaults. */
#include "llama.h"

#include "transformer.h"

#include "espalier/core/memory.h"
#include "espalier/core/named.h"

#include <stdio.h>
#include <string.h>

static const char heads_key[] = "num_attention_heads", kv_heads_key[] = "num_key_value_heads",
                  intermediate_key[] = "intermediate_size";

static const char *const layer_keys[] = {heads_key, kv_heads_key, intermediate_key, NULL};

/* What model_type implies; defaults are those of transformers, 0: none. */
typedef struct llama_variant {
  const char *name;
  bool has_query_bias;       // q, k and v always have biases, o never
  bool reads_attention_bias; // attention_bias: of q, k, v and o
  bool reads_ffn_bias;       // mlp_bias
  bool has_head_norms;       // of each query and key head
  bool has_window;           // sliding_window counts
  bool has_window_flag;      // it counts only with use_sliding_window
  int64_t kv_heads, head_size, window;
} llama_variant;

static const llama_variant variants[] = {
    {.name = "llama", .reads_attention_bias = true, .reads_ffn_bias = true},
    {.name = "mistral", .has_window = true, .kv_heads = 8, .window = 4096},
    {.name = "qwen2", .has_query_bias = true, .has_window_flag = true, .kv_heads = 32},
    {.name = "qwen3",
     .reads_attention_bias = true,
     .has_head_norms = true,
     .has_window_flag = true,
     .kv_heads = 32,
     .head_size = 128},
    {.name = NULL},
};

static const llama_variant *find_variant(const esp_model *model) {
  int i = 0;
  const esp_status status =
      esp_find_row("variant", model->family->name, variants, sizeof *variants, &i);
  ESP_ASSERT(status == ESP_OK);
  return &variants[i];
}

/* A size that may be absent (then as it is) or null (then otherwise). */
static esp_status get_size_or(const json_t *config, const char *key, int64_t otherwise,
                              int64_t *value) {
  const json_t *found = json_object_get(config, key);
  if (json_is_null(found)) *value = otherwise;
  return found && !json_is_null(found) ? tf_get_size(config, key, value) : ESP_OK;
}

/* A window that holds the longest sequence changes nothing. */
static esp_status refuse_window(const llama_variant *variant, const json_t *config,
                                int64_t longest) {
  int64_t window = variant->window;
  if (variant->has_window_flag) ESP_TRY(tf_refuse_flag(config, "use_sliding_window"));
  if (!variant->has_window) return ESP_OK;
  ESP_TRY(get_size_or(config, "sliding_window", 0, &window));
  if (window == 0 || window >= longest) return ESP_OK;
  return esp_fail(
      ESP_FORMAT,
      "configuration: sliding_window %lld of %lld positions is asked for, expected null: only "
      "full attention is known",
      (long long)window, (long long)longest);
}

static esp_status refuse_layer_types(const json_t *config) {
  const json_t *list = json_object_get(config, "layer_types");
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *type = json_string_value(json_array_get(list, i));
    if (!type || strcmp(type, "full_attention") != 0)
      return esp_fail(
          ESP_FORMAT,
          "configuration: expected 'full_attention' for all layer_types, found '%.60s' for "
          "layer %d",
          type ? type : "no text", (int)i);
  }
  return ESP_OK;
}

static esp_status refuse_unknown(const llama_variant *variant, const json_t *config,
                                 int64_t longest) {
  const json_t *quantization = json_object_get(config, "quantization_config");
  int64_t slices = 1;
  if (quantization && !json_is_null(quantization))
    return esp_fail(
        ESP_FORMAT,
        "configuration: quantization_config asks for quantised weights, which are not read; "
        "convert the checkpoint to F32, F16 or BF16");
  ESP_TRY(get_size_or(config, "pretraining_tp", 1, &slices));
  if (slices != 1)
    return esp_fail(ESP_FORMAT, "configuration: expected pretraining_tp 1, found %lld",
                    (long long)slices);
  ESP_TRY(refuse_window(variant, config, longest));
  return refuse_layer_types(config);
}

static esp_status read_head_size(const llama_variant *variant, const json_t *config,
                                 llama_shape *shape) {
  const bool is_implied = variant->head_size > 0 && !json_object_get(config, "head_dim");
  shape->head_size = variant->head_size;
  if (!is_implied) ESP_TRY(tf_get_head_size(config, heads_key, shape->hidden, &shape->head_size));
  if (shape->head_size % 2 == 0) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "configuration: expected an even head_dim for the rotary embedding, found %lld",
                  (long long)shape->head_size);
}

static esp_status read_layer(const llama_variant *variant, const json_t *config, int index,
                             llama_shape *shape) {
  llama_layer *layer = &shape->layers[index];
  const json_t *kv_heads = tf_get_layer_member(config, index, kv_heads_key);
  ESP_TRY(tf_get_layer_heads(config, index, heads_key, shape->head_size, &layer->heads));
  ESP_TRY(tf_get_layer_size(config, index, intermediate_key, &layer->intermediate));
  layer->kv_heads = !kv_heads && variant->kv_heads > 0 ? variant->kv_heads : layer->heads;
  if (kv_heads && !json_is_null(kv_heads))
    ESP_TRY(tf_get_layer_size(config, index, kv_heads_key, &layer->kv_heads));
  const bool has_none = layer->heads == 0 || layer->kv_heads == 0;
  if (has_none ? layer->heads == layer->kv_heads : layer->heads % layer->kv_heads == 0)
    return ESP_OK;
  return esp_fail(
      ESP_FORMAT,
      "configuration: expected %s to be a multiple of %s, found %lld and %lld in layer %d",
      heads_key, kv_heads_key, (long long)layer->heads, (long long)layer->kv_heads, index);
}

static esp_status read_flags(const llama_variant *variant, const json_t *config,
                             llama_shape *shape) {
  bool has_bias = false;
  if (variant->reads_attention_bias) ESP_TRY(tf_get_flag_or(config, "attention_bias", &has_bias));
  shape->has_query_bias = has_bias || variant->has_query_bias;
  shape->has_output_bias = has_bias;
  shape->has_head_norms = variant->has_head_norms;
  return variant->reads_ffn_bias ? tf_get_flag_or(config, "mlp_bias", &shape->has_ffn_bias)
                                 : ESP_OK;
}

static esp_status read_numbers(esp_model *model, llama_shape *shape) {
  const char *activation = "silu";
  shape->epsilon = 1e-6;
  ESP_TRY(tf_get_size(model->config, "hidden_size", &shape->hidden));
  ESP_TRY(tf_get_size(model->config, "vocab_size", &model->vocabulary));
  ESP_TRY(tf_get_size(model->config, "max_position_embeddings", &model->max_length));
  ESP_TRY(tf_get_real_or(model->config, "rms_norm_eps", &shape->epsilon));
  ESP_TRY(tf_get_text_or(model->config, "hidden_act", &activation));
  ESP_TRY(esp_activation_find(activation, &shape->activation));
  return tf_get_flag_or(model->config, "tie_word_embeddings", &model->is_head_tied);
}

esp_status llama_read(esp_model *model) {
  const llama_variant *variant = find_variant(model);
  int n_layers;
  ESP_TRY(tf_get_layer_count(model->config, "num_hidden_layers", &n_layers));
  llama_shape *shape = esp_alloc(1, sizeof *shape + (size_t)n_layers * sizeof *shape->layers);
  model->shape = shape;
  shape->n_layers = n_layers;
  ESP_TRY(read_numbers(model, shape));
  ESP_TRY(refuse_unknown(variant, model->config, model->max_length));
  ESP_TRY(read_flags(variant, model->config, shape));
  ESP_TRY(read_head_size(variant, model->config, shape));
  ESP_TRY(tf_check_layers(model->config, n_layers, layer_keys));
  for (int i = 0; i < n_layers; i++) ESP_TRY(read_layer(variant, model->config, i, shape));
  return rope_read(model->config, shape->head_size, &shape->rope);
}

/* Units of attention are heads, or whole groups of one KV head where those have been merged.
 * Without any of them there are no KV heads either. */
static void find_heads(const esp_model *model, int index, int64_t units, int64_t *heads_kv) {
  const llama_layer *old = &((const llama_shape *)model->shape)->layers[index];
  if (units == 0) return;
  const bool is_merged = model->stages[2 * index].per_group == 1; // or groups of one head
  heads_kv[0] = is_merged ? units * (old->heads / old->kv_heads) : units;
  heads_kv[1] = is_merged ? units : old->kv_heads;
}

/* transformers' LlamaConfig refuses a hidden size that is no multiple of the heads, whatever
 * head_dim says; MistralConfig does not, and without biases and window the two are the same model.
 */
static bool is_indivisible(const json_t *config) {
  const json_int_t hidden = json_integer_value(json_object_get(config, "hidden_size"));
  const json_int_t heads = json_integer_value(json_object_get(config, heads_key));
  const char *type = json_string_value(json_object_get(config, "model_type"));
  return strcmp(type, "llama") == 0 && heads > 0 && hidden % heads != 0;
}

static bool has_biases(const llama_shape *shape) {
  return shape->has_query_bias || shape->has_ffn_bias;
}

static void rename_indivisible(json_t *config, const llama_shape *shape) {
  if (!is_indivisible(config) || has_biases(shape)) return; // as it is, it needs a loader
  json_object_set_new(config, "model_type", json_string("mistral"));
  json_object_set_new(config, "architectures", json_pack("[s]", "MistralForCausalLM"));
  json_object_set_new(config, "sliding_window", json_null());
}

void llama_explain_loader(const esp_model *model, char *why, size_t size) {
  if (!is_indivisible(model->config)) return;
  snprintf(why, size, "LlamaConfig refuses a hidden size of %lld for %lld heads",
           (long long)json_integer_value(json_object_get(model->config, "hidden_size")),
           (long long)json_integer_value(json_object_get(model->config, heads_key)));
}

bool llama_needs_all_heads(const esp_model *model) {
  const char *type = json_string_value(json_object_get(model->config, "model_type"));
  return strcmp(type, "llama") == 0 && has_biases(model->shape);
}

esp_status llama_resize(const esp_model *model, const int64_t *units, json_t *config) {
  const llama_shape *shape = model->shape;
  int64_t *heads_kv = ESP_NEW(int64_t, 2 * shape->n_layers);
  for (int i = 0; i < shape->n_layers; i++) find_heads(model, i, units[2 * i], heads_kv + 2 * i);
  tf_set_layer_sizes(config, heads_key, shape->n_layers, heads_kv, 2);
  tf_set_layer_sizes(config, kv_heads_key, shape->n_layers, heads_kv + 1, 2);
  tf_set_layer_sizes(config, intermediate_key, shape->n_layers, units + 1, 2);
  json_object_set_new(config, "head_dim", json_integer(shape->head_size));
  if (units[model->n_stages] > 0)
    json_object_set_new(config, "hidden_size", json_integer(units[model->n_stages]));
  rename_indivisible(config, shape);
  esp_free(&heads_kv);
  return ESP_OK;
}
