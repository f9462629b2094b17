#include "criteria.h"

#include "espalier/core/rng.h"

static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) {
  const int64_t units = evidence->units;
  esp_rng_permutation(evidence->seed, evidence->stream, units, order);
  for (int64_t k = 0; k < units; k++) score[order[k]] = (double)(units - k) / (double)units;
  return ESP_OK;
}

const esp_criterion esp_criterion_random = {
    .name = "random", .summary = "a permutation drawn from the seed: the floor", .rank = rank};
