#include "flow_internal.h"

static void measure(const esp_outputs *self, esp_tally *tally) {
  cross_entropy_measure_rows(self, self->labels ? self->labels : self->batch->labels, tally);
}

const esp_objective objective_classifier = {
    .name = "classifier",
    .summary = "cross-entropy of every sample's label",
    .task = ESP_TASK_CLASSIFY,
    .check = esp_model_check_labels,
    .measure = measure,
};
