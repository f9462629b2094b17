#include "flow_internal.h"

static void measure(const esp_outputs *self, esp_tally *tally) {
  if (self->batch->hidden && !self->labels)
    cross_entropy_measure_hidden(self, tally);
  else
    cross_entropy_measure_tokens(self, self->labels ? self->labels : self->batch->tokens, 0, tally);
}

const esp_objective objective_masked = {
    .name = "masked",
    .summary = "cross-entropy of the tokens themselves, or of those that are masked",
    .task = ESP_TASK_MASKED,
    .measure = measure,
};
