#include "rope.h"

#include "transformer.h"

#include "espalier/core/named.h"

#include <math.h>

static const float two_pi = 6.28318530717958647692f;

static bool has(const json_t *config, const char *key) {
  const json_t *found = json_object_get(config, key);
  return found && !json_is_null(found);
}

static esp_status read_positive(const json_t *parameters, const char *key, double *value) {
  ESP_TRY(esp_config_get_real(parameters, key, value));
  if (*value > 0.0 && isfinite(*value)) return ESP_OK;
  return esp_fail(ESP_FORMAT, "configuration: expected '%s' of the rotary embedding > 0, found %g",
                  key, *value);
}

static esp_status read_linear(const json_t *parameters, const json_t *config, rope *self) {
  (void)config;
  return read_positive(parameters, "factor", &self->factor);
}

static float scale_linear(const rope *self, float frequency) {
  return frequency / (float)self->factor;
}

/* A top-level original_max_position_embeddings wins, as in transformers. */
static esp_status read_original(const json_t *parameters, const json_t *config, rope *self) {
  static const char *const key = "original_max_position_embeddings";
  if (has(config, key)) return read_positive(config, key, &self->original);
  if (has(parameters, key)) return read_positive(parameters, key, &self->original);
  return read_positive(config, "max_position_embeddings", &self->original);
}

static esp_status read_llama3(const json_t *parameters, const json_t *config, rope *self) {
  ESP_TRY(read_linear(parameters, config, self));
  ESP_TRY(read_positive(parameters, "low_freq_factor", &self->low));
  ESP_TRY(read_positive(parameters, "high_freq_factor", &self->high));
  ESP_TRY(read_original(parameters, config, self));
  if (self->high > self->low) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "configuration: expected high_freq_factor above low_freq_factor, found "
                  "%g and %g",
                  self->high, self->low);
}

/* Long waves are slowed down by factor, short ones kept, those between blended (Llama 3.1). */
static float scale_llama3(const rope *self, float frequency) {
  const float factor = (float)self->factor, low = (float)self->low, high = (float)self->high;
  const float original = (float)self->original, wave = two_pi / frequency;
  if (wave > original / low) return frequency / factor;
  if (wave < original / high) return frequency;
  const float smooth = (original / wave - low) / (high - low);
  return (1.0f - smooth) * frequency / factor + smooth * frequency;
}

static const rope_type types[] = {
    {"default", NULL, NULL},
    {"linear", read_linear, scale_linear},
    {"llama3", read_llama3, scale_llama3},
    {NULL, NULL, NULL},
};

static esp_status find_type(const char *name, const rope_type **type) {
  int i;
  if (esp_find_row("type of rotary embedding", name, types, sizeof *types, &i) != ESP_OK)
    return esp_fail(ESP_FORMAT, "configuration: %s", esp_failure_text());
  *type = &types[i];
  return ESP_OK;
}

/* Both spellings hold the type's own numbers in one object; an older one has its theta outside. */
static const json_t *find_parameters(const json_t *config) {
  const char *key = has(config, "rope_parameters") ? "rope_parameters" : "rope_scaling";
  return json_object_get(config, key);
}

static esp_status check_whole(const json_t *parameters, const json_t *config) {
  double part = 1.0;
  ESP_TRY(tf_get_real_or(config, "partial_rotary_factor", &part));
  ESP_TRY(tf_get_real_or(parameters, "partial_rotary_factor", &part));
  if (part < 1.0 || part > 1.0)
    return esp_fail(
        ESP_FORMAT,
        "configuration: partial_rotary_factor %g is not known; only whole heads are turned", part);
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)parameters, key, value) if (
      json_is_object(value)) return esp_fail(ESP_FORMAT,
                                             "configuration: rotary embeddings of their own for "
                                             "layers of type '%.60s' are not known",
                                             key);
  return ESP_OK;
}

esp_status rope_read(const json_t *config, int64_t head_size, rope *self) {
  const json_t *parameters = find_parameters(config);
  const char *name = "default";
  *self = (rope){.head_size = head_size, .theta = 10000.0};
  ESP_TRY(check_whole(parameters, config));
  ESP_TRY(tf_get_text_or(parameters, "type", &name));
  ESP_TRY(tf_get_text_or(parameters, "rope_type", &name));
  ESP_TRY(find_type(name, &self->type));
  const json_t *with_theta = has(parameters, "rope_theta") ? parameters : config;
  if (has(with_theta, "rope_theta")) ESP_TRY(read_positive(with_theta, "rope_theta", &self->theta));
  return self->type->read ? self->type->read(parameters, config, self) : ESP_OK;
}

static float compute_frequency(const rope *self, int64_t i) {
  const float exponent = (float)(2 * i) / (float)self->head_size;
  const float plain = 1.0f / (float)pow(self->theta, (double)exponent);
  return self->type->scale ? self->type->scale(self, plain) : plain;
}

static void fill_position(int64_t p, int64_t half, const float *frequencies, float *cosine,
                          float *sine) {
  for (int64_t i = 0; i < half; i++) {
    const float angle = (float)p * frequencies[i];
    cosine[p * half + i] = cosf(angle);
    sine[p * half + i] = sinf(angle);
  }
}

/* The frequencies stand in place of position 0's sines until all others are there. */
void rope_fill(const rope *self, int64_t length, float *cosine, float *sine) {
  const int64_t half = self->head_size / 2;
  if (length == 0) return;
  for (int64_t i = 0; i < half; i++) sine[i] = compute_frequency(self, i);
#pragma omp parallel for
  for (int64_t p = 1; p < length; p++) fill_position(p, half, sine, cosine, sine);
  fill_position(0, half, sine, cosine, sine);
}
