/* Whole layers go: what is left of the chain of stages keeps its weights as they are. */
#include "espalier/surgery/cut.h"

#include "espalier/core/memory.h"
#include "espalier/model/family.h"

#include <string.h>

/* The dense model's stage that a stage of the smaller one was. */
static int find_stage(const esp_model *dense, const esp_model *pruned, const int64_t *kept,
                      int stage) {
  if (stage == ESP_STAGE_EMBED) return stage;
  if (stage == pruned->n_stages) return dense->n_stages;
  return (int)kept[stage / ESP_LAYER_STAGES] * ESP_LAYER_STAGES + stage % ESP_LAYER_STAGES;
}

/* Weights of a stage come in the same order in both: the n-th of one is the n-th of the other. */
static const esp_weight *find_weight(const esp_model *dense, const esp_model *pruned,
                                     const int64_t *kept, int index) {
  const int stage = pruned->weights[index].stage;
  const int dense_stage = find_stage(dense, pruned, kept, stage);
  int before = 0;
  for (int i = 0; i < index; i++) before += pruned->weights[i].stage == stage;
  for (int i = 0; i < dense->n_weights; i++)
    if (dense->weights[i].stage == dense_stage && before-- == 0) return &dense->weights[i];
  return NULL;
}

/* The checkpoint's names may lack the family's prefix. */
static void drop_prefix(const esp_model *dense, const esp_weight *whole, esp_weight *view) {
  const size_t length = dense->prefix ? strlen(dense->prefix) : 0;
  if (length == 0 || strncmp(view->name, dense->prefix, length) != 0) return;
  if (strncmp(whole->name, dense->prefix, length) == 0) return;
  char *name = esp_strdup(view->name + length);
  esp_free(&view->name);
  view->name = name;
}

static esp_status bind_view(const esp_model *dense, const esp_weight *whole, esp_weight *view) {
  const size_t bytes = (size_t)view->rank * sizeof *view->shape;
  if (!whole || whole->rank != view->rank || memcmp(whole->shape, view->shape, bytes) != 0)
    return esp_fail(ESP_FORMAT,
                    "family '%s': weight '%s' of the configuration with fewer layers is none of "
                    "the whole model's",
                    dense->family->name, view->name);
  drop_prefix(dense, whole, view);
  view->type = whole->type;
  view->stored = whole->stored;
  memcpy(view->stored_shape, whole->stored_shape, sizeof view->stored_shape);
  return ESP_OK;
}

esp_status esp_model_drop_layers(const esp_model *dense, const int64_t *kept, int64_t n,
                                 esp_model **pruned) {
  json_t *config = json_deep_copy(dense->config);
  esp_config_keep_layers(dense, kept, n, config);
  esp_status status = esp_model_new(config, pruned);
  json_decref(config);
  if (status == ESP_OK) (*pruned)->is_masked = dense->is_masked;
  for (int i = 0; status == ESP_OK && i < (*pruned)->n_weights; i++)
    status = bind_view(dense, find_weight(dense, *pruned, kept, i), &(*pruned)->weights[i]);
  if (status != ESP_OK) esp_model_free(pruned);
  return status;
}
