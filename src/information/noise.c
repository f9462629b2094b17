#include "espalier/core/rng.h"
#include "espalier/core/status.h"
#include "espalier/information/planes.h"

void esp_fill_noise(uint64_t seed, uint64_t stream, int64_t first_word, const uint8_t *n_valid,
                    int64_t unit, esp_planes *planes) {
  ESP_ASSERT(unit >= 0 && unit < planes->units);
  const int n_planes = planes->bins - 1;
  for (int64_t w = 0; w < planes->n_words; w++) {
    uint64_t bits[ESP_MAX_BINS] = {0};
    for (uint64_t s = 0; s < n_valid[w]; s++) {
      const uint64_t counter = ESP_WORD_BITS * (uint64_t)(first_word + w) + s;
      const uint64_t code = esp_rng_below(seed, stream, counter, (uint64_t)planes->bins);
      for (uint64_t a = 1; a <= code; a++) bits[a - 1] |= UINT64_C(1) << s;
    }
    for (int a = 0; a < n_planes; a++)
      planes->words[(unit * n_planes + a) * planes->stride + w] = bits[a];
  }
}
