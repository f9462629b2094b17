#include "espalier/surgery/cut.h"

#include "espalier/core/memory.h"

void esp_selection_init(esp_selection *self, int n_stages) {
  *self = (esp_selection){.n_stages = n_stages,
                          .n_kept = ESP_NEW(int64_t, n_stages + 1),
                          .kept = ESP_NEW(int64_t *, n_stages + 1)};
}

void esp_selection_clear(esp_selection *self) {
  for (int i = 0; i <= self->n_stages; i++) esp_free(&self->kept[i]);
  esp_free(&self->kept);
  esp_free(&self->n_kept);
}

int64_t esp_selection_features(const esp_selection *self, const esp_stage *stage, int index,
                               int64_t *features) {
  int64_t n = 0;
  for (int64_t i = 0; i < self->n_kept[index]; i++)
    for (int64_t f = 0; f < stage->width; f++)
      features[n++] = self->kept[index][i] * stage->width + f;
  return n;
}
