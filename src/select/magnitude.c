#include "check.h"
#include "criteria.h"

/* score_u = ||producers_u|| ||consumers_u||. */
static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) {
  const int64_t units = evidence->units;
  ESP_TRY(esp_check_doubles(evidence->site, "producer norm", evidence->producer_norm, units));
  ESP_TRY(esp_check_doubles(evidence->site, "consumer norm", evidence->consumer_norm, units));
  for (int64_t u = 0; u < units; u++)
    score[u] = evidence->producer_norm[u] * evidence->consumer_norm[u];
  ESP_TRY(esp_check_doubles(evidence->site, "product of norms", score, units));
  esp_rank_by_score(units, score, order);
  return ESP_OK;
}

const esp_criterion esp_criterion_magnitude = {
    .name = "magnitude",
    .summary = "norm of the producing weights times norm of the reading weights",
    .needs = ESP_NEEDS_NORMS,
    .mask = esp_mask_magnitude,
    .rank = rank};
