#include "check.h"
#include "criteria.h"

static double compute_mean(const float *values, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += (double)values[i];
  return count > 0 ? sum / (double)count : 0;
}

/* score_u = sum over u's features f of mean_j I(x_f; y_j) [Fan et al., EMNLP 2021]. */
static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) {
  const int64_t units = evidence->units, width = evidence->width, upper = evidence->upper;
  ESP_TRY(esp_check_floats(evidence->site, "information", evidence->information,
                           units * width * upper));
  for (int64_t u = 0; u < units; u++) {
    score[u] = 0;
    for (int64_t f = u * width; f < (u + 1) * width; f++)
      score[u] += compute_mean(evidence->information + f * upper, upper);
  }
  esp_rank_by_score(units, score, order);
  return ESP_OK;
}

static void add_cost(const esp_criterion_shape *shape, esp_cost *cost) {
  cost->work.serial += (double)(shape->units * shape->width * shape->upper);
}

const esp_criterion esp_criterion_mi = {
    .name = "mi",
    .summary = "mean mutual information with each preserved unit above, unit by unit",
    .needs = ESP_NEEDS_INFORMATION,
    .rank = rank,
    .cost = add_cost};
