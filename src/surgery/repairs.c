#include "surgery_internal.h"

#include "espalier/core/suggest.h"

#include <string.h>

static esp_status apply_none(esp_repair_job *job) {
  (void)job;
  return ESP_OK;
}

static esp_status apply_none_to_layers(esp_repair_job *job, const int64_t *kept) {
  (void)job, (void)kept;
  return ESP_OK;
}

const esp_repair repair_none = {.name = "none",
                                .summary = "leave the cut weights as they are",
                                .apply = apply_none,
                                .apply_to_layers = apply_none_to_layers};

const esp_repair *const esp_repairs[] = {&repair_none, &repair_bias, &repair_least_squares,
                                         &repair_sequential, NULL};

esp_status esp_repair_find(const char *name, const esp_repair **repair) {
  static const char *names[sizeof esp_repairs / sizeof *esp_repairs];
  for (int i = 0; esp_repairs[i]; i++) {
    names[i] = esp_repairs[i]->name;
    if (strcmp(names[i], name) != 0) continue;
    *repair = esp_repairs[i];
    return ESP_OK;
  }
  return esp_fail_unknown("repair", name, names);
}
