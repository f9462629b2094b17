/* Input of maximum entropy [Ferianc]: nothing is known of it but its range, so it is uniform there.
 *
 * Of images that alone would be one point: the mean of hundreds of independent pixels hardly
 * varies, and with it the first layer's units are either always on or dead. So the part of the
 * pixels that are on is drawn for each image (its density; ours). */
#include "dataset_format.h"

#include "espalier/core/hash.h"
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"

#include <string.h>

enum { STREAM_DENSITY = 0x3e01, STREAM_INPUT = 0x3e02 };

static uint64_t compute_fingerprint(const esp_entropy_input *input) {
  const int64_t sizes[] = {(int64_t)input->kind, input->count, input->width, input->vocabulary,
                           (int64_t)input->seed};
  return esp_hash(esp_hash_text(0, ESP_MAXIMUM_ENTROPY), sizes, sizeof sizes);
}

bool esp_dataset_is_made(const char *name) {
  return name && strcmp(name, ESP_MAXIMUM_ENTROPY) == 0;
}

esp_dataset *esp_dataset_new_maximum_entropy(const esp_entropy_input *input) {
  ESP_ASSERT(input->count > 0 && input->width > 0);
  ESP_ASSERT(input->kind == ESP_DATA_IMAGES || input->vocabulary > 0);
  esp_dataset *self = ESP_NEW(esp_dataset, 1);
  *self = (esp_dataset){.format = ESP_MAXIMUM_ENTROPY,
                        .path = esp_strdup(ESP_MAXIMUM_ENTROPY),
                        .split = esp_strdup("none"),
                        .kind = input->kind,
                        .count = input->count,
                        .width = input->width,
                        .fingerprint = compute_fingerprint(input),
                        .max_token = (int32_t)(input->vocabulary - 1),
                        .is_made = true,
                        .seed = input->seed};
  return self;
}

/* u < p is uniform in [0, p): one draw decides whether a pixel is on, and its value. */
static float make_pixel(double u, double density) {
  return u < density ? (float)(u / density) : 0.0f;
}

void entropy_fill(const esp_dataset *dataset, int64_t sample, float *pixels, int32_t *tokens) {
  const int64_t width = dataset->width;
  const uint64_t seed = dataset->seed, first = (uint64_t)(sample * width);
  const double density = esp_rng_uniform(seed, STREAM_DENSITY, (uint64_t)sample);
  for (int64_t i = 0; pixels && i < width; i++)
    pixels[i] = make_pixel(esp_rng_uniform(seed, STREAM_INPUT, first + (uint64_t)i), density);
  for (int64_t i = 0; tokens && i < width; i++)
    tokens[i] = (int32_t)esp_rng_below(seed, STREAM_INPUT, first + (uint64_t)i,
                                       (uint64_t)dataset->max_token + 1);
}
