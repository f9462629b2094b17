#include "fields.h"

#include "config_json.h"

#include "espalier/core/memory.h"

#include <string.h>

const char *const config_field_families[] = {"llama", "mistral", "qwen2", "qwen3",
                                             "gpt2",  "bert",    NULL};

enum {
  LLAMA = 1,
  MISTRAL = 2,
  QWEN2 = 4,
  QWEN3 = 8,
  GPT2 = 16,
  BERT = 32,
  QWEN = QWEN2 | QWEN3,
  ROTARY = LLAMA | MISTRAL | QWEN,
  DECODERS = ROTARY | GPT2,
  ALL = DECODERS | BERT
};

#define READ CONFIG_FIELD_READ, NULL
#define IRRELEVANT CONFIG_FIELD_IRRELEVANT, NULL
#define REFUSED CONFIG_FIELD_REFUSED

const config_field config_fields[] = {
    // What kind of model it is.
    {"model_type", ALL, READ},
    {"architectures", ALL, READ},
    {"id2label", ALL, READ},
    {"num_labels", ALL, READ},
    {"problem_type", ALL, READ},
    {"tie_word_embeddings", ALL, READ},
    {"pad_token_id", DECODERS, READ},
    {"is_causal", DECODERS, READ},
    {"quantization_config", ALL, REFUSED, "null"},
    {"transformers_weights", ALL, REFUSED, "null"},
    {"is_decoder", BERT, REFUSED, "false"},
    {"add_cross_attention", GPT2 | BERT, REFUSED, "false"},
    {"add_pooling_layer", BERT, READ},
    {"decoder_bias", BERT, READ},
    {"token_classification_bias", DECODERS, REFUSED, "true"},
    // Sizes.
    {"vocab_size", ALL, READ},
    {"hidden_size", ALL, READ},
    {"num_hidden_layers", ALL, READ},
    {"num_attention_heads", ALL, READ},
    {"max_position_embeddings", ALL, READ},
    {"n_embd", GPT2, READ},
    {"n_layer", GPT2, READ},
    {"n_head", GPT2, READ},
    {"n_positions", GPT2, READ},
    {"n_inner", GPT2, READ},
    {"intermediate_size", ROTARY | BERT, READ},
    {"num_key_value_heads", ROTARY, READ},
    {"head_dim", ALL, READ},
    {"type_vocab_size", BERT, READ},
    {"per_layer_config", ALL, READ},
    // Operations.
    {"hidden_act", ROTARY | BERT, READ},
    {"activation_function", GPT2, READ},
    {"rms_norm_eps", ROTARY, READ},
    {"layer_norm_epsilon", GPT2, READ},
    {"layer_norm_eps", BERT, READ},
    {"attention_bias", LLAMA | QWEN3, READ},
    {"attention_bias", MISTRAL | QWEN2, IRRELEVANT},
    {"mlp_bias", LLAMA, READ},
    {"mlp_bias", MISTRAL | QWEN, IRRELEVANT},
    {"scale_attn_weights", GPT2, READ},
    {"scale_attn_by_inverse_layer_idx", GPT2, REFUSED, "false"},
    {"reorder_and_upcast_attn", GPT2, REFUSED, "false"},
    // Positions and windows.
    {"rope_parameters", ROTARY, READ},
    {"rope_scaling", ROTARY, READ},
    {"rope_theta", ROTARY, READ},
    {"original_max_position_embeddings", ROTARY, READ},
    {"partial_rotary_factor", ROTARY, REFUSED, "1.0"},
    {"position_embedding_type", BERT, REFUSED, "\"absolute\""},
    {"sliding_window", MISTRAL | QWEN, READ},
    {"sliding_window", LLAMA, IRRELEVANT},
    {"use_sliding_window", QWEN, READ},
    {"use_sliding_window", LLAMA | MISTRAL, IRRELEVANT},
    {"max_window_layers", QWEN, READ},
    {"max_window_layers", LLAMA | MISTRAL, IRRELEVANT},
    {"layer_types", ROTARY, READ},
    // Training.
    {"initializer_range", ALL, READ},
    {"attention_dropout", ROTARY, IRRELEVANT},
    {"resid_pdrop", GPT2, IRRELEVANT},
    {"embd_pdrop", GPT2, IRRELEVANT},
    {"attn_pdrop", GPT2, IRRELEVANT},
    {"hidden_dropout_prob", BERT, IRRELEVANT},
    {"attention_probs_dropout_prob", BERT, IRRELEVANT},
    {"classifier_dropout", ALL, IRRELEVANT},
    {"hidden_dropout", ROTARY, IRRELEVANT},
    {"gradient_checkpointing", ALL, IRRELEVANT},
    // Of heads and of software that are not Espalier's.
    {"summary_type", GPT2, IRRELEVANT},
    {"summary_use_proj", GPT2, IRRELEVANT},
    {"summary_activation", GPT2, IRRELEVANT},
    {"summary_proj_to_labels", GPT2, IRRELEVANT},
    {"summary_first_dropout", GPT2, IRRELEVANT},
    {"summary_last_dropout", GPT2, IRRELEVANT},
    {"label2id", ALL, IRRELEVANT},
    {"pad_token_id", BERT, IRRELEVANT},
    {"bos_token_id", ALL, IRRELEVANT},
    {"eos_token_id", ALL, IRRELEVANT},
    {"use_cache", ALL, IRRELEVANT},
    {"pretraining_tp", LLAMA, IRRELEVANT},
    {"chunk_size_feed_forward", ALL, IRRELEVANT},
    {"is_encoder_decoder", ALL, IRRELEVANT},
    {"pruned_heads", ALL, IRRELEVANT},
    {"n_ctx", GPT2, IRRELEVANT},
    {"is_causal", BERT, IRRELEVANT},
    {"dtype", ALL, IRRELEVANT},
    {"torch_dtype", ALL, IRRELEVANT},
    {"transformers_version", ALL, IRRELEVANT},
    {"name_or_path", ALL, IRRELEVANT},
    {"_name_or_path", ALL, IRRELEVANT},
    {"auto_map", ALL, IRRELEVANT},
    {"task_specific_params", ALL, IRRELEVANT},
    {"attn_implementation", ALL, IRRELEVANT},
    {"output_attentions", ALL, IRRELEVANT},
    {"output_hidden_states", ALL, IRRELEVANT},
    {"tie_last_hidden_states", ALL, IRRELEVANT},
    {"return_dict", ALL, IRRELEVANT},
    {NULL, 0, READ},
};

static unsigned find_family(const char *name) {
  unsigned bit = 1;
  for (int i = 0; config_field_families[i]; i++, bit *= 2)
    if (strcmp(config_field_families[i], name) == 0) return bit;
  return 0;
}

static bool is_same(const json_t *found, const json_t *neutral) {
  if (!json_is_number(found) || !json_is_number(neutral)) return json_equal(found, neutral);
  const double difference = json_number_value(found) - json_number_value(neutral);
  return !(difference < 0.0 || difference > 0.0);
}

static bool is_neutral(const json_t *found, const char *text) {
  json_t *neutral = json_loads(text, JSON_DECODE_ANY, NULL);
  const bool same = is_same(found, neutral);
  json_decref(neutral);
  return same;
}

static esp_status fail_quantised(void) {
  return esp_fail(
      ESP_FORMAT,
      "configuration: quantization_config asks for quantised weights, which are not read; "
      "convert the checkpoint to F32, F16, BF16 or F64");
}

static esp_status check(const config_field *field, const json_t *found) {
  if (!found || json_is_null(found) || is_neutral(found, field->neutral)) return ESP_OK;
  if (json_is_object(found) && strcmp(field->name, "quantization_config") == 0)
    return fail_quantised();
  char *text = config_json_dump(found, JSON_ENCODE_ANY | JSON_COMPACT);
  const esp_status status = esp_fail(
      ESP_FORMAT,
      "configuration: expected %s for '%s', found %.60s: Espalier does not know this variant",
      field->neutral, field->name, text);
  esp_free(&text);
  return status;
}

esp_status config_fields_check(const esp_model *model) {
  const unsigned family = find_family(model->family->name);
  for (const config_field *field = config_fields; field->name; field++)
    if (field->families & family && field->use == CONFIG_FIELD_REFUSED)
      ESP_TRY(check(field, json_object_get(model->config, field->name)));
  return ESP_OK;
}
