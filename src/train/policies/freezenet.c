/* FreezeNet [Wimmer, Mehnert and Condurache 2020]: the weights of the largest |w dL/dw| before the
 * first step train, all others keep the values that they have. */
#include "policies.h"

#include "espalier/core/memory.h"

#include <math.h>

static esp_status begin(training *self) {
  train_pruning *pruning = &self->pruning;
  ESP_TRY(policy_measure_gradient(self));
  float *scores = ESP_NEW(float, self->parts.n_own);
  parts_copy_own_local(&self->parts, scores);
  for (int64_t i = 0; i < self->parts.n_own; i++)
    scores[i] = fabsf(scores[i] * self->gradients.mean[i]);
  pruning_keep_weights(self->comm, pruning, scores, pruning->mask,
                       pruning->options->final_sparsity);
  esp_free(&scores);
  return ESP_OK;
}

static const char *const options[] = {"distribution", "min-keep", "score-samples", NULL};

const policy policy_freezenet = {.name = "freezenet",
                                 .granularities = POLICY_WEIGHTS,
                                 .masked = POLICY_FROZEN,
                                 .prunes_once = true,
                                 .distribution = "global",
                                 .options = options,
                                 .count_passes = policy_count_gradient_passes,
                                 .begin = begin};
