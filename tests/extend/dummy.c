/* A criterion as somebody else would add it: the later a unit, the more it is worth. */
#include "espalier/select/criterion.h"

extern const esp_criterion esp_criterion_dummy;

static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) {
  for (int64_t u = 0; u < evidence->units; u++) score[u] = (double)u;
  esp_rank_by_score(evidence->units, score, order);
  return ESP_OK;
}

#ifdef ESPALIER_CORE_COST_H
static void cost(const esp_criterion_shape *shape, esp_cost *cost) {
  (void)shape;
  esp_cost_touch(cost, 32 << 20);
  cost->work.flops += 1e8;
}
#endif

const esp_criterion esp_criterion_dummy = {.name = "dummy",
                                           .summary = "the later, the better",
#ifdef ESPALIER_CORE_COST_H
                                           .cost = cost,
#endif
                                           .rank = rank};
