#include "espalier/core/rng.h"
#include "espalier/core/status.h"
#include "espalier/information/planes.h"

void esp_fill_noise(uint64_t seed, uint64_t stream, int64_t first_word, const uint8_t *n_valid,
                    int64_t unit, esp_planes *planes) {
  ESP_ASSERT(unit >= 0 && unit < planes->units);
  const int n_planes = planes->bins - 1;
  for (int64_t w = 0; w < planes->n_words; w++) {
    uint64_t bits[ESP_MAX_BINS] = {0};
    uint8_t codes[ESP_WORD_BITS];
    esp_rng_below_each(seed, stream, ESP_WORD_BITS * (uint64_t)(first_word + w), planes->bins,
                       n_valid[w], codes);
    for (int s = 0; s < n_valid[w]; s++)
      for (int a = 0; a < n_planes; a++) bits[a] |= (uint64_t)(codes[s] > a) << s;
    for (int a = 0; a < n_planes; a++)
      planes->words[(unit * n_planes + a) * planes->stride + w] = bits[a];
  }
}
