/* Llama, Mistral, Qwen2, Qwen3: blocks r += attention(norm(r)); r += W_down (f(W_gate n) * W_up n),
 * n = norm(r), with RMS norms, rotary positions and grouped queries; then a last norm and a head
 * that may be tied. */
#include "llama.h"

#include "families.h"
#include "transformer.h"

#include <string.h>

static const llama_shape *get_shape(const esp_model *model) {
  return model->shape;
}

/* The norm before a sub-layer is over the hidden dimensions, those of queries and keys are over a
 * head's. */
static int add_stream_norm(esp_model *model, int stage, const char *name) {
  const int weight =
      esp_model_add_weight(model, (esp_weight_shape){stage, 1, {get_shape(model)->hidden}},
                           "%slayers.%d.%s.weight", model->prefix, stage / 2, name);
  esp_model_add_width(model, weight, 0);
  return weight;
}

static int add_norm(esp_model *model, int stage, int64_t n, const char *name, int layer) {
  return esp_model_add_weight(model, (esp_weight_shape){stage, 1, {n}}, "%slayers.%d.%s.weight",
                              model->prefix, layer, name);
}

/* Linear `name` of layer stage / 2. */
static esp_linear add_linear(esp_model *model, int stage, esp_linear shape, const char *name) {
  return tf_add_linear(model, stage, shape, "%slayers.%d.%s", model->prefix, stage / 2, name);
}

static esp_linear add_reader(esp_model *model, int stage, esp_linear shape, const char *name) {
  const esp_linear linear = add_linear(model, stage, shape, name);
  esp_model_add_reader(model, stage, &linear);
  return linear;
}

static void add_head_norms(esp_model *model, int stage, llama_layer *layer) {
  const int64_t n = get_shape(model)->head_size;
  layer->query_norm = add_norm(model, stage, n, "self_attn.q_norm", stage / 2);
  layer->key_norm = add_norm(model, stage, n, "self_attn.k_norm", stage / 2);
}

/* Rows of keys and values are shared by the query heads of a group. */
static void add_key_values(esp_stage *stage, const llama_layer *layer) {
  const esp_linear *const linears[2] = {&layer->key, &layer->value};
  stage->per_group = layer->kv_heads > 0 ? layer->heads / layer->kv_heads : 1;
  for (int i = 0; i < 2; i++) {
    if (stage->per_group == 1) {
      tf_add_producer(stage, linears[i], 0);
      continue;
    }
    stage->shared[stage->n_shared++] = (esp_slice){linears[i]->weight, 0, 0, stage->width};
    if (linears[i]->bias >= 0)
      stage->shared[stage->n_shared++] = (esp_slice){linears[i]->bias, 0, 0, stage->width};
  }
}

static void add_attention(esp_model *model, llama_shape *shape, int index) {
  llama_layer *layer = &shape->layers[index];
  const int stage = 2 * index;
  const int64_t n = layer->heads * shape->head_size, n_kv = layer->kv_heads * shape->head_size;
  const int bias = shape->has_query_bias ? 0 : -1;
  layer->norms[0] = add_stream_norm(model, stage, "input_layernorm");
  layer->query =
      add_reader(model, stage, (esp_linear){.outputs = n, .inputs = shape->hidden, .bias = bias},
                 "self_attn.q_proj");
  layer->key =
      add_reader(model, stage, (esp_linear){.outputs = n_kv, .inputs = shape->hidden, .bias = bias},
                 "self_attn.k_proj");
  layer->value =
      add_reader(model, stage, (esp_linear){.outputs = n_kv, .inputs = shape->hidden, .bias = bias},
                 "self_attn.v_proj");
  if (shape->has_head_norms) add_head_norms(model, stage, layer);
  const esp_linear consumer = add_linear(
      model, stage,
      (esp_linear){.outputs = shape->hidden, .inputs = n, .bias = shape->has_output_bias ? 0 : -1},
      "self_attn.o_proj");
  esp_stage *site = tf_add_stage(model, "attention", index, shape->head_size, &consumer);
  site->window = layer->window;
  tf_add_producer(site, &layer->query, 0);
  add_key_values(site, layer);
}

static void add_feed_forward(esp_model *model, llama_shape *shape, int index) {
  llama_layer *layer = &shape->layers[index];
  const int stage = 2 * index + 1, bias = shape->has_ffn_bias ? 0 : -1;
  const esp_linear wide = {.outputs = layer->intermediate, .inputs = shape->hidden, .bias = bias};
  const esp_linear narrow = {.outputs = shape->hidden, .inputs = layer->intermediate, .bias = bias};
  layer->norms[1] = add_stream_norm(model, stage, "post_attention_layernorm");
  layer->gate = add_reader(model, stage, wide, "mlp.gate_proj");
  layer->up = add_reader(model, stage, wide, "mlp.up_proj");
  const esp_linear consumer = add_linear(model, stage, narrow, "mlp.down_proj");
  esp_stage *site = tf_add_stage(model, "ffn", index, 1, &consumer);
  tf_add_producer(site, &layer->gate, 0);
  tf_add_producer(site, &layer->up, 0);
}

static const tf_head heads[] = {
    {"ForSequenceClassification", "score", false, 0, ESP_TASK_CLASSIFY, false},
    {"ForTokenClassification", "score", true, 0, ESP_TASK_EMBED, false},
    {"ForQuestionAnswering", "qa_outputs", true, 2, ESP_TASK_EMBED, true},
    {"Model", NULL, false, 0, ESP_TASK_EMBED, false},
    {NULL, "lm_head", false, 0, ESP_TASK_LANGUAGE, false},
};

static void add_language_head(esp_model *model, llama_shape *shape) {
  const int stage = model->n_stages;
  esp_linear head = {.weight = shape->embedding,
                     .bias = -1,
                     .outputs = model->vocabulary,
                     .inputs = shape->hidden};
  if (!model->is_head_tied) head = tf_add_linear(model, stage, head, "lm_head");
  esp_model_add_reader(model, stage, &head);
  shape->head.linear = head;
  model->task = ESP_TASK_LANGUAGE;
  model->n_outputs = model->vocabulary;
}

static esp_status add_head(esp_model *model, const tf_head *head, llama_shape *shape) {
  shape->norm = esp_model_add_weight(model, (esp_weight_shape){model->n_stages, 1, {shape->hidden}},
                                     "%snorm.weight", model->prefix);
  esp_model_add_width(model, shape->norm, 0);
  if (head->task != ESP_TASK_LANGUAGE)
    return tf_head_describe(model, head, shape->hidden, &shape->head);
  add_language_head(model, shape);
  return ESP_OK;
}

/* What transformers calls the decoder in the names of a model's weights. */
static const char *find_prefix(const esp_model *model, const tf_head *head) {
  const bool is_mistral = strcmp(model->family->name, "mistral") == 0;
  return head->has_old_prefix && !is_mistral ? "transformer." : "model.";
}

static esp_status describe(esp_model *model) {
  ESP_TRY(llama_read(model));
  llama_shape *shape = model->shape;
  const tf_head *head = tf_head_find(model->config, heads, model->is_head_tied);
  model->prefix = find_prefix(model, head);
  if (head->task != ESP_TASK_LANGUAGE) model->is_head_tied = false;
  shape->embedding = esp_model_add_weight(
      model, (esp_weight_shape){ESP_STAGE_EMBED, 2, {model->vocabulary, shape->hidden}},
      "%sembed_tokens.weight", model->prefix);
  model->weights[shape->embedding].is_table = true;
  esp_model_add_width(model, shape->embedding, 1);
  for (int i = 0; i < shape->n_layers; i++) {
    add_attention(model, shape, i);
    add_feed_forward(model, shape, i);
  }
  return add_head(model, head, shape);
}

/* Frequencies that older versions stored, and the tied head's copy. */
static bool ignores(const esp_model *model, const char *tensor) {
  return tf_ends_with(tensor, "rotary_emb.inv_freq") ||
         (model->is_head_tied && strcmp(tensor, "lm_head.weight") == 0);
}

static const esp_copy copies[] = {{"lm_head.weight", "model.embed_tokens.weight"}, {NULL, NULL}};

#define LLAMA_FAMILY(type, class_name, text)                                                     \
  static void complete_##type(json_t *config, const esp_tensor_set *set) {                       \
    const tf_classes classes = {heads, class_name, "ForCausalLM", "embed_tokens.weight", false}; \
    tf_head_complete(&classes, config, set);                                                     \
  }                                                                                              \
  const esp_family esp_family_##type = {.name = #type,                                           \
                                        .summary = text,                                         \
                                        .input = ESP_DATA_TOKENS,                                \
                                        .copies = copies,                                        \
                                        .complete = complete_##type,                             \
                                        .describe = describe,                                    \
                                        .resize = llama_resize,                                  \
                                        .explain_loader = llama_explain_loader,                  \
                                        .needs_all_heads = llama_needs_all_heads,                \
                                        .layers_key = "num_hidden_layers",                       \
                                        .init = esp_family_init,                                 \
                                        .draw = tf_draw,                                         \
                                        .embed = llama_embed,                                    \
                                        .read = llama_read_stream,                               \
                                        .produce = llama_produce,                                \
                                        .head = llama_head,                                      \
                                        .head_backward = llama_head_backward,                    \
                                        .produce_backward = llama_produce_backward,              \
                                        .embed_backward = llama_embed_backward,                  \
                                        .ignores = ignores}

LLAMA_FAMILY(llama, "Llama", "Llama 1 to 3 and relatives (SmolLM2, TinyLlama)");
LLAMA_FAMILY(mistral, "Mistral", "Mistral, with or without sliding window");
LLAMA_FAMILY(qwen2, "Qwen2", "Qwen2 and Qwen2.5");
LLAMA_FAMILY(qwen3, "Qwen3", "Qwen3 (dense)");
