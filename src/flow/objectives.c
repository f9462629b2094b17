#include "flow_internal.h"

const esp_objective *const esp_objectives[] = {&objective_classifier,
                                               &objective_language,
                                               &objective_masked,
                                               &objective_cosine,
                                               &objective_regression,
                                               &objective_multi_label,
                                               NULL};

const esp_objective *esp_objective_of(esp_task task) {
  const esp_objective *const *row = esp_objectives;
  while (*row && (*row)->task != task) row++;
  ESP_ASSERT(*row);
  return *row;
}
