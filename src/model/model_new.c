#include "espalier/model/family.h"

#include "espalier/core/memory.h"

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static void find_largest_sizes(esp_model *model) {
  for (int i = 0; i < model->n_stages; i++) {
    const esp_stage *stage = &model->stages[i];
    model->max_state = larger(model->max_state, larger(stage->state_in, stage->state_out));
    model->max_features = larger(model->max_features, esp_stage_features(stage));
  }
}

esp_status esp_model_new(json_t *config, esp_model **model) {
  const char *name = NULL;
  const esp_family *family = NULL;
  *model = NULL;
  ESP_TRY(esp_config_get_text(config, "model_type", &name));
  ESP_TRY(esp_family_find(name, &family));
  esp_model *self = ESP_NEW(esp_model, 1);
  self->family = family;
  self->config = json_incref(config);
  const esp_status status = family->describe(self);
  find_largest_sizes(self);
  *model = self;
  if (status != ESP_OK) esp_model_free(model);
  return status;
}
