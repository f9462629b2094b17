/* An et al., "Fluctuation-based adaptive structured pruning for large language models", 2024: a
 * unit's score is the sum over its features of Var(x_j) ||W_:j||^2. */
#include "check.h"
#include "criteria.h"

static double score_feature(const esp_evidence *evidence, int64_t feature) {
  const int64_t features = evidence->units * evidence->width;
  double sum = 0.0;
  for (int64_t i = 0; i < evidence->outputs; i++) {
    const double weight = evidence->map[i * features + feature];
    sum += weight * weight;
  }
  return evidence->variance[feature] * sum;
}

static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) {
  return esp_rank_by_features(evidence, score_feature, order, score);
}

const esp_criterion esp_criterion_flap = {
    .name = "flap",
    .summary = "variance of the activation times the squared norm of its reading weights",
    .needs = ESP_NEEDS_MAP | ESP_NEEDS_MOMENTS,
    .rank = rank,
    .cost = criteria_add_map_cost};
