#include "families.h"

#include "espalier/core/named.h"

const esp_family *const esp_families[] = {
    &esp_family_mlp,     &esp_family_gpt2,  &esp_family_bert,  &esp_family_llama,
    &esp_family_mistral, &esp_family_qwen2, &esp_family_qwen3, NULL};

esp_status esp_family_find(const char *name, const esp_family **family) {
  int i;
  if (esp_find_pointer("model_type", name, esp_families, &i) != ESP_OK)
    return esp_fail(ESP_FORMAT, "%s", esp_failure_text()); // a file says so, not a user
  *family = esp_families[i];
  return ESP_OK;
}
