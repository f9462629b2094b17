/* Members of a configuration: sizes of the network and of single layers, and what may be absent. */
#include "transformer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t largest_size = 1 << 24;

static esp_status check_size(const char *key, int64_t value) {
  if (value <= largest_size) return ESP_OK;
  return esp_fail(ESP_FORMAT, "configuration: expected '%s' of at most %lld, found %lld", key,
                  (long long)largest_size, (long long)value);
}

static bool is_given(const json_t *config, const char *key) {
  const json_t *found = json_object_get(config, key);
  return found && !json_is_null(found);
}

esp_status tf_get_size(const json_t *config, tf_size size, int64_t *value) {
  *value = size.otherwise;
  if (*value > 0 && !is_given(config, size.key)) return ESP_OK;
  ESP_TRY(esp_config_get_int(config, size.key, 1, value));
  return check_size(size.key, *value);
}

static json_t *find_override(const json_t *config, int layer) {
  char index[16];
  snprintf(index, sizeof index, "%d", layer);
  return json_object_get(json_object_get(config, "per_layer_config"), index);
}

static bool is_among(const char *key, const char *const *keys) {
  while (*keys && strcmp(*keys, key) != 0) keys++;
  return *keys != NULL;
}

static esp_status check_override(const char *layer, json_t *override, const char *const *keys) {
  const char *key;
  json_t *value;
  if (!json_is_object(override))
    return esp_fail(ESP_FORMAT,
                    "configuration: expected an object for layer %.20s of per_layer_config", layer);
  json_object_foreach(override, key, value) {
    (void)value;
    if (!is_among(key, keys))
      return esp_fail(
          ESP_FORMAT,
          "configuration: '%.60s' for layer %.20s of per_layer_config has no meaning here", key,
          layer);
  }
  return ESP_OK;
}

esp_status tf_check_layers(const json_t *config, int n_layers, const char *const *keys) {
  json_t *all = json_object_get(config, "per_layer_config"), *override;
  const char *layer;
  if (all && !json_is_null(all) && !json_is_object(all))
    return esp_fail(ESP_FORMAT,
                    "configuration: expected per_layer_config to be an object of layers");
  json_object_foreach(all, layer, override) {
    char plain[24];
    const long index = strtol(layer, NULL, 10);
    snprintf(plain, sizeof plain, "%ld", index);
    if (strcmp(plain, layer) != 0 || index < 0 || index >= n_layers)
      return esp_fail(
          ESP_FORMAT,
          "configuration: expected layers from 0 to %d in per_layer_config, found '%.60s'",
          n_layers - 1, layer);
    ESP_TRY(check_override(layer, override, keys));
  }
  return ESP_OK;
}

const json_t *tf_get_layer_member(const json_t *config, int layer, const char *key) {
  const json_t *own = json_object_get(find_override(config, layer), key);
  return own ? own : json_object_get(config, key);
}

esp_status tf_get_layer_size(const json_t *config, int layer, tf_size size, int64_t *value) {
  const json_t *override = find_override(config, layer);
  if (!json_object_get(override, size.key)) return tf_get_size(config, size, value);
  ESP_TRY(esp_config_get_int(override, size.key, 0, value));
  return check_size(size.key, *value);
}

esp_status tf_get_layer_heads(const json_t *config, int layer, tf_size size, int64_t head_size,
                              int64_t *heads) {
  ESP_TRY(tf_get_layer_size(config, layer, size, heads));
  if (*heads <= largest_size / head_size) return ESP_OK;
  return esp_fail(
      ESP_FORMAT,
      "configuration: layer %d has %lld heads of size %lld, more than Espalier can handle", layer,
      (long long)*heads, (long long)head_size);
}

/* Value NULL: as the configuration's own. */
static void set_override(json_t *all, int layer, const char *key, const int64_t *value) {
  char index[16];
  snprintf(index, sizeof index, "%d", layer);
  json_t *override = json_object_get(all, index);
  override = override ? json_incref(override) : json_object();
  json_object_del(override, key);
  if (value) json_object_set_new(override, key, json_integer(*value));
  json_object_del(all, index);
  if (json_object_size(override) > 0) json_object_set(all, index, override);
  json_decref(override);
}

/* That of the first layer that has any; 0: none has. */
static int64_t find_common_size(int n_layers, const int64_t *values, int stride) {
  for (int layer = 0; layer < n_layers; layer++)
    if (values[layer * stride] > 0) return values[layer * stride];
  return 0;
}

void tf_set_layer_sizes(json_t *config, const char *key, int n_layers, const int64_t *values,
                        int stride) {
  const int64_t common = find_common_size(n_layers, values, stride);
  json_t *all = json_object_get(config, "per_layer_config");
  all = json_is_object(all) ? json_incref(all) : json_object();
  for (int layer = 0; layer < n_layers; layer++) {
    const int64_t *value = &values[layer * stride];
    set_override(all, layer, key, common == 0 || *value != common ? value : NULL);
  }
  if (common > 0) json_object_set_new(config, key, json_integer(common));
  json_object_del(config, "per_layer_config");
  if (json_object_size(all) > 0) json_object_set(config, "per_layer_config", all);
  json_decref(all);
}

esp_status tf_get_real_or(const json_t *config, const char *key, double *value) {
  return is_given(config, key) ? esp_config_get_real(config, key, value) : ESP_OK;
}

esp_status tf_get_text_or(const json_t *config, const char *key, const char **value) {
  return is_given(config, key) ? esp_config_get_text(config, key, value) : ESP_OK;
}

esp_status tf_get_flag_or(const json_t *config, const char *key, bool *value) {
  const json_t *found = json_object_get(config, key);
  if (!is_given(config, key)) return ESP_OK;
  if (!json_is_boolean(found))
    return esp_fail(ESP_FORMAT, "configuration: expected true or false for '%s'; check config.json",
                    key);
  *value = json_is_true(found);
  return ESP_OK;
}

esp_status tf_get_causal(const json_t *config, bool *is_causal) {
  *is_causal = !json_is_null(json_object_get(config, "is_causal"));
  return tf_get_flag_or(config, "is_causal", is_causal);
}

esp_status tf_get_head_size(const json_t *config, tf_size heads, int64_t size, int64_t *head_size) {
  int64_t n;
  if (is_given(config, "head_dim")) return tf_get_size(config, (tf_size){"head_dim", 0}, head_size);
  ESP_TRY(tf_get_size(config, heads, &n));
  *head_size = size / n;
  if (size % n == 0) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "configuration: expected '%s' to divide the hidden size %lld, found %lld",
                  heads.key, (long long)size, (long long)n);
}

void tf_set_head_size(json_t *config, const char *heads_key, int64_t size, int64_t head_size) {
  const int64_t heads = json_integer_value(json_object_get(config, heads_key));
  if (heads * head_size == size)
    json_object_del(config, "head_dim");
  else
    json_object_set_new(config, "head_dim", json_integer(head_size));
}

void tf_explain_heads(const json_t *config, const char *heads_key, const char *size_key, char *why,
                      size_t size) {
  const json_int_t heads = json_integer_value(json_object_get(config, heads_key));
  const json_int_t hidden = json_integer_value(json_object_get(config, size_key));
  const json_int_t head_size = json_integer_value(json_object_get(config, "head_dim"));
  if (head_size == 0 || heads * head_size == hidden) return;
  snprintf(
      why, size,
      "its class has no place for the head size: %lld heads x %lld is not the hidden size %lld",
      (long long)heads, (long long)head_size, (long long)hidden);
}

bool tf_needs_all_heads(const esp_model *model) {
  (void)model;
  return true;
}

esp_status tf_get_layer_count(const json_t *config, tf_size layers, int *n_layers) {
  int64_t n;
  ESP_TRY(tf_get_size(config, layers, &n));
  *n_layers = (int)n;
  if (n <= 4096) return ESP_OK;
  return esp_fail(ESP_FORMAT, "configuration: expected '%s' of at most 4096, found %lld",
                  layers.key, (long long)n);
}
