/* Whole layers in the configuration: their number, and what it says of them one by one. */
#include "espalier/model/family.h"

#include <stdio.h>

int64_t esp_model_count_layers(const esp_model *model) {
  return model->family->layers_key ? model->n_stages / ESP_LAYER_STAGES : 0;
}

/* "layer_types" of transformers 5 and the like: one entry a layer. */
static void keep_entries(json_t *config, const char *key, const int64_t *kept, int64_t n) {
  json_t *old = json_object_get(config, key), *list = json_array();
  for (int64_t i = 0; i < n; i++) json_array_append(list, json_array_get(old, (size_t)kept[i]));
  json_object_set_new(config, key, list);
}

/* "per_layer_config": an object by layer index. */
static void keep_overrides(json_t *config, const int64_t *kept, int64_t n) {
  json_t *old = json_object_get(config, "per_layer_config"), *renumbered = json_object();
  for (int64_t i = 0; i < n; i++) {
    char from[16], to[16];
    snprintf(from, sizeof from, "%d", (int)kept[i]);
    snprintf(to, sizeof to, "%d", (int)i);
    json_t *override = json_object_get(old, from);
    if (override) json_object_set(renumbered, to, override);
  }
  json_object_del(config, "per_layer_config");
  if (json_object_size(renumbered) > 0) json_object_set(config, "per_layer_config", renumbered);
  json_decref(renumbered);
}

/* "max_window_layers": so many layers from below see everything, where windows are asked for. */
static void keep_full_layers(json_t *config, const int64_t *kept, int64_t n) {
  static const char key[] = "max_window_layers";
  const json_t *given = json_object_get(config, key);
  const json_int_t old = json_is_integer(given) ? json_integer_value(given) : ESP_FULL_LAYERS;
  int64_t full = 0;
  if (!json_is_true(json_object_get(config, "use_sliding_window"))) return;
  for (int64_t i = 0; i < n; i++) full += kept[i] < old;
  json_object_set_new(config, key, json_integer(full));
}

void esp_config_keep_layers(const esp_model *model, const int64_t *kept, int64_t n,
                            json_t *config) {
  const size_t layers = (size_t)esp_model_count_layers(model);
  if (json_array_size(json_object_get(config, "layer_types")) == layers)
    keep_entries(config, "layer_types", kept, n);
  keep_overrides(config, kept, n);
  keep_full_layers(config, kept, n);
  json_object_set_new(config, model->family->layers_key, json_integer(n));
}
