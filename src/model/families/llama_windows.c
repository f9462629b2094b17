/* Sliding windows: how far back each layer's attention sees. */
#include "llama.h"

#include "transformer.h"

#include <string.h>

static const char window_key[] = "sliding_window", types_key[] = "layer_types";

enum { DEFAULT_WINDOW = 4096 }; // of transformers' classes

/* 0: none. */
static esp_status read_window(const json_t *config, llama_sliding sliding, int64_t *window) {
  const json_t *found = json_object_get(config, window_key);
  bool is_asked = sliding == LLAMA_SLIDES;
  *window = 0;
  if (sliding == LLAMA_SLIDES_IF_ASKED)
    ESP_TRY(tf_get_flag_or(config, "use_sliding_window", &is_asked));
  if (!is_asked || json_is_null(found)) return ESP_OK;
  return tf_get_size(config, (tf_size){window_key, DEFAULT_WINDOW}, window);
}

static esp_status fail_type(const char *type, int layer, const char *why) {
  return esp_fail(ESP_FORMAT,
                  "configuration: expected 'full_attention' for all layer_types, found '%.60s' for "
                  "layer %d%s",
                  type ? type : "no text", layer, why);
}

/* "attention" is an older name of full attention. */
static esp_status read_listed(const json_t *list, int layer, int64_t window, int64_t *found) {
  const char *type = json_string_value(json_array_get(list, (size_t)layer));
  *found = 0;
  if (type && (strcmp(type, "full_attention") == 0 || strcmp(type, "attention") == 0))
    return ESP_OK;
  if (!type || strcmp(type, "sliding_attention") != 0) return fail_type(type, layer, "");
  *found = window;
  return window > 0 ? ESP_OK : fail_type(type, layer, ", and no sliding_window that counts");
}

static esp_status read_list(const json_t *list, int64_t window, llama_shape *shape) {
  if (json_array_size(list) != (size_t)shape->n_layers)
    return esp_fail(ESP_FORMAT, "configuration: expected %d layer_types, one a layer, found %d",
                    shape->n_layers, (int)json_array_size(list));
  for (int i = 0; i < shape->n_layers; i++)
    ESP_TRY(read_listed(list, i, window, &shape->layers[i].window));
  return ESP_OK;
}

/* Mistral slides everywhere, Qwen in its upper layers. */
static esp_status read_unlisted(const json_t *config, llama_sliding sliding, int64_t window,
                                llama_shape *shape) {
  int64_t full = 0;
  if (sliding == LLAMA_SLIDES_IF_ASKED) {
    full = ESP_FULL_LAYERS;
    const json_t *given = json_object_get(config, "max_window_layers");
    if (given && !json_is_null(given))
      ESP_TRY(esp_config_get_int(config, "max_window_layers", 0, &full));
  }
  for (int i = 0; i < shape->n_layers; i++) shape->layers[i].window = i >= full ? window : 0;
  return ESP_OK;
}

/* A window that holds the longest sequence changes nothing. */
esp_status llama_read_windows(const json_t *config, llama_sliding sliding, int64_t longest,
                              llama_shape *shape) {
  const json_t *list = json_object_get(config, types_key);
  int64_t window;
  ESP_TRY(read_window(config, sliding, &window));
  ESP_TRY(list && !json_is_null(list) ? read_list(list, window, shape)
                                      : read_unlisted(config, sliding, window, shape));
  for (int i = 0; i < shape->n_layers; i++)
    if (longest > 0 && shape->layers[i].window >= longest) shape->layers[i].window = 0;
  return ESP_OK;
}
