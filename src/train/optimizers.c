#include "optimizer.h"

#include "espalier/core/named.h"

static const optimizer *const optimizers[] = {&optimizer_adamw, &optimizer_sgd, NULL};

esp_status optimizer_find(const char *name, const optimizer **found) {
  int i;
  ESP_TRY(esp_find_pointer("optimizer", name, optimizers, &i));
  *found = optimizers[i];
  return ESP_OK;
}
