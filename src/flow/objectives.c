#include "flow_internal.h"

const esp_objective *const esp_objectives[] = {
    &objective_classifier,       &objective_language,
    &objective_masked,           &objective_cosine,
    &objective_regression,       &objective_multi_label,
    &objective_distillation,     &objective_distilled_numbers,
    &objective_distilled_labels, NULL};

const esp_objective *esp_objective_of(esp_task task) {
  const esp_objective *const *row = esp_objectives;
  while (*row && (*row)->task != (int)task) row++;
  ESP_ASSERT(*row);
  return *row;
}

esp_tally esp_tally_start(const esp_objective *objective, const esp_dataset *data) {
  return (esp_tally){.unit = objective->find_unit ? objective->find_unit(data) : 0.0};
}

const esp_objective *esp_objective_with_teacher(esp_task task) {
  const esp_objective *own = esp_objective_of(task);
  if (own->needs_teacher) return own;
  if (task == ESP_TASK_REGRESS) return &objective_distilled_numbers;
  return task == ESP_TASK_MULTI_LABEL ? &objective_distilled_labels : &objective_distillation;
}
