#include "trainable.h"

#include "espalier/core/named.h"

#include <string.h>

static bool is_any(const esp_model *model, int weight) {
  (void)model;
  (void)weight;
  return true;
}

/* All but the embedding and the head. */
static bool is_of_a_stage(const esp_model *model, int weight) {
  const int stage = model->weights[weight].stage;
  return stage >= 0 && stage < model->n_stages;
}

/* The linear maps that write a stage's result. */
static bool is_writer(const esp_model *model, int weight) {
  for (int i = 0; i < model->n_stages; i++) {
    const esp_linear *consumer = &model->stages[i].consumer;
    if (consumer->weight == weight || consumer->bias == weight) return true;
  }
  return false;
}

/* Gains and shifts of norms, and biases. */
static bool is_vector(const esp_model *model, int weight) {
  return model->weights[weight].rank == 1;
}

static const struct {
  const char *name;
  bool (*has)(const esp_model *model, int weight);
} sets[] = {
    {"all", is_any}, {"blocks", is_of_a_stage}, {"writers", is_writer}, {"norms", is_vector}};
enum { N_SETS = sizeof sets / sizeof *sets };

/* Whether the loss depends on it: that of an encoder does not on a pooler, which decay would change
 * all the same. */
static bool is_reached(const esp_model *model, int weight) {
  return model->task != ESP_TASK_EMBED || model->weights[weight].stage < model->n_stages;
}

esp_status trainable_resolve(const esp_model *model, const char *asked, bool *trains) {
  int set = 0, count = 0;
  while (set < N_SETS && strcmp(sets[set].name, asked) != 0) set++;
  for (int w = 0; w < model->n_weights; w++) {
    const bool is_asked =
        set < N_SETS ? sets[set].has(model, w) : esp_name_matches(model->weights[w].name, asked);
    trains[w] = is_asked && is_reached(model, w) && esp_weight_count(&model->weights[w]) > 0;
    count += trains[w];
  }
  if (count > 0) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "--trainable %s: expected all, blocks, writers, norms, or names of weights as "
                  "*.down_proj.weight, found none of the model's %d weights by that; '%s' is one",
                  asked, model->n_weights, model->weights[0].name);
}

bool trainable_is_masked(const esp_model *model, int weight) {
  return model->weights[weight].mask || (model->is_masked && esp_model_is_prunable(model, weight));
}
