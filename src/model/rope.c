#include "rope_types.h"

#include "transformer.h"

#include "espalier/core/named.h"

#include <math.h>

static esp_status find_type(const char *name, const rope_type **type) {
  int i;
  if (esp_find_row("type of rotary embedding", name, rope_types, sizeof *rope_types, &i) != ESP_OK)
    return esp_fail(ESP_FORMAT, "configuration: %s", esp_failure_text());
  *type = &rope_types[i];
  return ESP_OK;
}

/* Both spellings hold the type's own numbers in one object; an older one has its theta outside, and
 * wins where it is not empty. */
static esp_status find_parameters(const json_t *config, const json_t **parameters) {
  static const char *const keys[] = {"rope_scaling", "rope_parameters"};
  *parameters = NULL;
  for (int i = 0; i < 2 && json_object_size(*parameters) == 0; i++) {
    *parameters = json_object_get(config, keys[i]);
    if (rope_has(config, keys[i]) && !json_is_object(*parameters))
      return esp_fail(ESP_FORMAT, "configuration: expected an object for '%s'; check config.json",
                      keys[i]);
  }
  return ESP_OK;
}

static esp_status refuse_own(const json_t *parameters) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)parameters, key, value) if (
      json_is_object(value)) return esp_fail(ESP_FORMAT,
                                             "configuration: rotary embeddings of their own for "
                                             "layers of type '%.60s' are not known",
                                             key);
  return ESP_OK;
}

static esp_status check_whole(const json_t *parameters) {
  double part = 1.0;
  ESP_TRY(tf_get_real_or(parameters, "partial_rotary_factor", &part));
  if (part < 1.0 || part > 1.0)
    return esp_fail(
        ESP_FORMAT,
        "configuration: partial_rotary_factor %g is not known; only whole heads are turned", part);
  return refuse_own(parameters);
}

esp_status rope_read(const json_t *config, int64_t head_size, int64_t positions, rope *self) {
  const char *name = "default";
  rope_source source = {.config = config};
  *self =
      (rope){.head_size = head_size, .positions = positions, .theta = 10000.0, .attention = 1.0};
  ESP_TRY(find_parameters(config, &source.parameters));
  ESP_TRY(check_whole(source.parameters));
  ESP_TRY(tf_get_text_or(source.parameters, "type", &name));
  ESP_TRY(tf_get_text_or(source.parameters, "rope_type", &name));
  ESP_TRY(find_type(name, &self->type));
  const json_t *with_theta = rope_has(source.parameters, "rope_theta") ? source.parameters : config;
  if (rope_has(with_theta, "rope_theta"))
    ESP_TRY(rope_read_positive(with_theta, "rope_theta", &self->theta));
  return self->type->read ? self->type->read(&source, self) : ESP_OK;
}

static void fill_position(int64_t p, int64_t half, const float *frequencies, float *cosine,
                          float *sine) {
  for (int64_t i = 0; i < half; i++) {
    const float angle = (float)p * frequencies[i];
    cosine[p * half + i] = cosf(angle);
    sine[p * half + i] = sinf(angle);
  }
}

static void scale(float factor, int64_t n, float *cosine, float *sine) {
  for (int64_t i = 0; i < n; i++) cosine[i] *= factor, sine[i] *= factor;
}

/* The frequencies stand in place of position 0's sines until all others are there. */
void rope_fill(const rope *self, int64_t length, float *cosine, float *sine) {
  const int64_t half = self->head_size / 2;
  if (length == 0) return;
  for (int64_t i = 0; i < half; i++) sine[i] = self->type->compute(self, length, i);
#pragma omp parallel for
  for (int64_t p = 1; p < length; p++) fill_position(p, half, sine, cosine, sine);
  fill_position(0, half, sine, cosine, sine);
  scale((float)self->attention, length * half, cosine, sine);
}
