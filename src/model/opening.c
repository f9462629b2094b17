#include "espalier/model/opening.h"

#include "espalier/model/family.h"

#include <stdio.h>

static bool is_among_transformers(const esp_model *model) {
  return model->family->input == ESP_DATA_TOKENS;
}

esp_opening esp_model_find_opening(const esp_model *model) {
  esp_opening self = {.with = is_among_transformers(model) ? ESP_OPENS_IN_TRANSFORMERS : NULL};
  if (json_object_get(model->config, "per_layer_config"))
    snprintf(self.why, sizeof self.why, "layers have different sizes");
  else if (model->family->explain_loader)
    model->family->explain_loader(model, self.why, sizeof self.why);
  if (*self.why) self.with = ESP_OPENS_BY_LOADER;
  return self;
}

bool esp_model_needs_all_heads(const esp_model *model) {
  return model->family->needs_all_heads && model->family->needs_all_heads(model);
}
