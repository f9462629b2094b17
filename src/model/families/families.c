#include "families.h"

#include <string.h>

const esp_family *const esp_families[] = {
    &esp_family_mlp,     &esp_family_gpt2,  &esp_family_bert,  &esp_family_llama,
    &esp_family_mistral, &esp_family_qwen2, &esp_family_qwen3, NULL};

esp_status esp_family_find(const char *name, const esp_family **family) {
  char known[256] = "";
  for (const esp_family *const *row = esp_families; *row; row++) {
    if (strcmp((*row)->name, name) == 0) {
      *family = *row;
      return ESP_OK;
    }
    strncat(known, known[0] ? ", " : "", sizeof known - strlen(known) - 1);
    strncat(known, (*row)->name, sizeof known - strlen(known) - 1);
  }
  return esp_fail(ESP_FORMAT, "unknown model_type '%.60s'; known families: %s", name, known);
}
