/* config.json of Llama, Mistral, Qwen2 and Qwen3: one set of keys, a few of them with other
 * defaults. */
#include "llama.h"

#include "fields.h"
#include "transformer.h"

#include "espalier/core/memory.h"
#include "espalier/core/named.h"

#include <stdio.h>
#include <string.h>

static const char heads_key[] = "num_attention_heads", kv_heads_key[] = "num_key_value_heads",
                  intermediate_key[] = "intermediate_size",
                  positions_key[] = "max_position_embeddings";

static const char *const layer_keys[] = {heads_key, kv_heads_key, intermediate_key, NULL};

/* What model_type implies; defaults are those of transformers, 0: none. */
typedef struct llama_variant {
  const char *name;
  bool has_query_bias;       // q, k and v always have biases, o never
  bool reads_attention_bias; // attention_bias: of q, k, v and o
  bool reads_ffn_bias;       // mlp_bias
  bool has_head_norms;       // of each query and key head
  llama_sliding sliding;
  int64_t kv_heads, head_size;
  int64_t vocabulary, intermediate, positions;
} llama_variant;

enum { DEFAULT_HIDDEN = 4096, DEFAULT_LAYERS = 32, DEFAULT_HEADS = 32 }; // of all of them

static const llama_variant variants[] = {
    {.name = "llama",
     .reads_attention_bias = true,
     .reads_ffn_bias = true,
     .vocabulary = 32000,
     .intermediate = 11008,
     .positions = 2048},
    {.name = "mistral",
     .sliding = LLAMA_SLIDES,
     .kv_heads = 8,
     .vocabulary = 32000,
     .intermediate = 14336,
     .positions = 131072},
    {.name = "qwen2",
     .has_query_bias = true,
     .sliding = LLAMA_SLIDES_IF_ASKED,
     .kv_heads = 32,
     .vocabulary = 151936,
     .intermediate = 22016,
     .positions = 32768},
    {.name = "qwen3",
     .reads_attention_bias = true,
     .has_head_norms = true,
     .sliding = LLAMA_SLIDES_IF_ASKED,
     .kv_heads = 32,
     .head_size = 128,
     .vocabulary = 151936,
     .intermediate = 22016,
     .positions = 32768},
    {.name = NULL},
};

static const tf_size heads_size = {heads_key, DEFAULT_HEADS};

static const llama_variant *find_variant(const esp_model *model) {
  int i = 0;
  const esp_status status =
      esp_find_row("variant", model->family->name, variants, sizeof *variants, &i);
  ESP_ASSERT(status == ESP_OK);
  return &variants[i];
}

static esp_status read_head_size(const llama_variant *variant, const json_t *config,
                                 llama_shape *shape) {
  const bool is_implied = variant->head_size > 0 && !json_object_get(config, "head_dim");
  shape->head_size = variant->head_size;
  if (!is_implied) ESP_TRY(tf_get_head_size(config, heads_size, shape->hidden, &shape->head_size));
  if (shape->head_size % 2 == 0) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "configuration: expected an even head_dim for the rotary embedding, found %lld",
                  (long long)shape->head_size);
}

static esp_status read_layer(const llama_variant *variant, const json_t *config, int index,
                             llama_shape *shape) {
  llama_layer *layer = &shape->layers[index];
  const json_t *kv_heads = tf_get_layer_member(config, index, kv_heads_key);
  ESP_TRY(tf_get_layer_heads(config, index, heads_size, shape->head_size, &layer->heads));
  ESP_TRY(tf_get_layer_size(config, index, (tf_size){intermediate_key, variant->intermediate},
                            &layer->intermediate));
  layer->kv_heads = !kv_heads && variant->kv_heads > 0 ? variant->kv_heads : layer->heads;
  if (kv_heads && !json_is_null(kv_heads))
    ESP_TRY(tf_get_layer_size(config, index, (tf_size){kv_heads_key, 0}, &layer->kv_heads));
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
  ESP_TRY(tf_get_causal(config, &shape->is_causal));
  return variant->reads_ffn_bias ? tf_get_flag_or(config, "mlp_bias", &shape->has_ffn_bias)
                                 : ESP_OK;
}

static esp_status read_sizes(const llama_variant *variant, esp_model *model, llama_shape *shape) {
  const json_t *config = model->config;
  ESP_TRY(tf_get_size(config, (tf_size){"hidden_size", DEFAULT_HIDDEN}, &shape->hidden));
  ESP_TRY(tf_get_size(config, (tf_size){"vocab_size", variant->vocabulary}, &model->vocabulary));
  return tf_get_size(config, (tf_size){positions_key, variant->positions}, &shape->positions);
}

static esp_status read_numbers(esp_model *model, llama_shape *shape) {
  const char *activation = "silu";
  shape->epsilon = 1e-6;
  ESP_TRY(tf_get_real_or(model->config, "rms_norm_eps", &shape->epsilon));
  ESP_TRY(tf_get_text_or(model->config, "hidden_act", &activation));
  ESP_TRY(esp_activation_find(activation, &shape->activation));
  return tf_get_flag_or(model->config, "tie_word_embeddings", &model->is_head_tied);
}

esp_status llama_read(esp_model *model) {
  const llama_variant *variant = find_variant(model);
  int n_layers;
  ESP_TRY(
      tf_get_layer_count(model->config, (tf_size){"num_hidden_layers", DEFAULT_LAYERS}, &n_layers));
  llama_shape *shape = esp_alloc(1, sizeof *shape + (size_t)n_layers * sizeof *shape->layers);
  model->shape = shape;
  shape->n_layers = n_layers;
  ESP_TRY(read_sizes(variant, model, shape));
  ESP_TRY(read_numbers(model, shape));
  ESP_TRY(config_fields_check(model));
  ESP_TRY(read_flags(variant, model->config, shape));
  ESP_TRY(read_head_size(variant, model->config, shape));
  ESP_TRY(tf_check_layers(model->config, n_layers, layer_keys));
  for (int i = 0; i < n_layers; i++) ESP_TRY(read_layer(variant, model->config, i, shape));
  ESP_TRY(rope_read(model->config, shape->head_size, shape->positions, &shape->rope));
  if (!shape->rope.type->is_unbounded) model->max_length = shape->positions;
  return llama_read_windows(model->config, variant->sliding, model->max_length, shape);
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

/* "MistralForCausalLM" for "LlamaForCausalLM", and so for other heads. */
static void rename_architecture(json_t *config) {
  static const char from[] = "Llama";
  const char *name = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
  const bool is_llama = name && strncmp(name, from, sizeof from - 1) == 0;
  char *renamed = esp_format("Mistral%s", is_llama ? name + sizeof from - 1 : "ForCausalLM");
  json_object_set_new(config, "architectures", json_pack("[s]", renamed));
  esp_free(&renamed);
}

/* transformers' LlamaConfig refuses a hidden size that is no multiple of the heads, whatever
 * head_dim says; MistralConfig does not, and without biases and window the two are the same model.
 */
static bool is_indivisible(const json_t *config) {
  const json_int_t hidden = json_integer_value(json_object_get(config, "hidden_size"));
  const json_int_t heads = json_integer_value(json_object_get(config, heads_key));
  const char *type = json_string_value(json_object_get(config, "model_type"));
  return strcmp(type, "llama") == 0 && heads > 0 &&
         (hidden > 0 ? hidden : DEFAULT_HIDDEN) % heads != 0;
}

/* What keeps a model from being called Mistral: biases, and names of question answering. */
static bool is_llama_alone(const esp_model *model) {
  const llama_shape *shape = model->shape;
  return shape->has_query_bias || shape->has_ffn_bias || strcmp(model->prefix, "model.") != 0;
}

static void rename_indivisible(const esp_model *model, json_t *config) {
  const llama_shape *shape = model->shape;
  if (!is_indivisible(config) || is_llama_alone(model)) return; // as it is, it needs a loader
  json_object_set_new(config, "model_type", json_string("mistral"));
  rename_architecture(config);
  json_object_set_new(config, "sliding_window", json_null());
  if (!json_object_get(config, positions_key)) // another default
    json_object_set_new(config, positions_key, json_integer(shape->positions));
}

void llama_explain_loader(const esp_model *model, char *why, size_t size) {
  if (!is_indivisible(model->config)) return;
  snprintf(why, size, "LlamaConfig refuses a hidden size of %lld for %lld heads",
           (long long)json_integer_value(json_object_get(model->config, "hidden_size")),
           (long long)json_integer_value(json_object_get(model->config, heads_key)));
}

bool llama_needs_all_heads(const esp_model *model) {
  const char *type = json_string_value(json_object_get(model->config, "model_type"));
  return strcmp(type, "llama") == 0 && is_llama_alone(model);
}

esp_status llama_resize(const esp_model *model, const int64_t *units, json_t *config) {
  const llama_shape *shape = model->shape;
  int64_t *heads_kv = ESP_NEW(int64_t, 2 * shape->n_layers);
  for (int i = 0; i < shape->n_layers; i++) find_heads(model, i, units[2 * i], heads_kv + 2 * i);
  tf_set_layer_sizes(config, heads_key, shape->n_layers, heads_kv, 2);
  tf_set_layer_sizes(config, kv_heads_key, shape->n_layers, heads_kv + 1, 2);
  tf_set_layer_sizes(config, intermediate_key, shape->n_layers, units + 1, 2);
  json_object_set_new(config, "head_dim", json_integer(shape->head_size));
  const int64_t width = units[model->n_stages];
  if (width > 0) json_object_set_new(config, "hidden_size", json_integer(width));
  rename_indivisible(model, config);
  esp_free(&heads_kv);
  return ESP_OK;
}
