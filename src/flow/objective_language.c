#include "flow_internal.h"

/* The first token of a sequence is not predicted, and its last row predicts nothing of it. */
static void measure(const esp_outputs *self, esp_tally *tally) {
  if (self->labels)
    cross_entropy_measure_tokens(self, self->labels, 0, tally);
  else
    cross_entropy_measure_tokens(self, self->batch->tokens, 1, tally);
}

const esp_objective objective_language = {
    .name = "language",
    .summary = "cross-entropy of every sequence's next tokens",
    .task = ESP_TASK_LANGUAGE,
    .check = esp_model_check_next_tokens,
    .measure = measure,
};
