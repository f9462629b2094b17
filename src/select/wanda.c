/* Sun et al., "A simple and effective pruning approach for large language models", 2023, for
 * structures: a unit's score is the sum over its features of mean_i |W_ij| ||x_j||_2. */
#include "check.h"
#include "criteria.h"

#include <math.h>

static double mean_magnitude(const esp_evidence *evidence, int64_t feature) {
  const int64_t features = evidence->units * evidence->width;
  double sum = 0.0;
  for (int64_t i = 0; i < evidence->outputs; i++)
    sum += fabs((double)evidence->map[i * features + feature]);
  return evidence->outputs > 0 ? sum / (double)evidence->outputs : 0.0;
}

static double score_feature(const esp_evidence *evidence, int64_t feature) {
  return mean_magnitude(evidence, feature) * evidence->norm[feature];
}

static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) {
  return esp_rank_by_features(evidence, score_feature, order, score);
}

const esp_criterion esp_criterion_wanda = {.name = "wanda",
                                           .summary =
                                               "mean reading weight times the activation's norm",
                                           .needs = ESP_NEEDS_MAP | ESP_NEEDS_MOMENTS,
                                           .mask = esp_mask_wanda,
                                           .rank = rank,
                                           .cost = criteria_add_map_cost};
