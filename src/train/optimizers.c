#include "train_internal.h"

#include "espalier/core/suggest.h"

#include <string.h>

static const optimizer *const optimizers[] = {&optimizer_adamw, &optimizer_sgd, NULL};

esp_status optimizer_find(const char *name, const optimizer **found) {
  static const char *names[sizeof optimizers / sizeof *optimizers];
  for (int i = 0; optimizers[i]; i++) {
    names[i] = optimizers[i]->name;
    if (strcmp(names[i], name) != 0) continue;
    *found = optimizers[i];
    return ESP_OK;
  }
  return esp_fail_unknown("optimizer", name, names);
}
