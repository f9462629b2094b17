/* Muralidharan et al., "Compact language models via pruning and knowledge distillation", 2024: a
 * unit's score is the sum over its features of sqrt(sum over sequences of (mean over the sequence
 * of |x_j|)^2). */
#include "check.h"
#include "criteria.h"

static double score_feature(const esp_evidence *evidence, int64_t feature) {
  return evidence->activation[feature];
}

static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) {
  return esp_rank_by_features(evidence, score_feature, order, score);
}

const esp_criterion esp_criterion_activation = {.name = "activation",
                                                .summary = "mean magnitude of the activation",
                                                .needs = ESP_NEEDS_MOMENTS,
                                                .rank = rank};
