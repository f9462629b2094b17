#include "criteria.h"

#include "block_columns.h"
#include "check.h"

#include "espalier/core/memory.h"
#include "espalier/core/named.h"

#include <limits.h>
#include <stdlib.h>

const esp_criterion *const esp_criteria[] = {
    &esp_criterion_set_mi,       &esp_criterion_set_mi_forward,
    &esp_criterion_mi,           &esp_criterion_max_entropy,
    &esp_criterion_mi_mrmr,      &esp_criterion_mi_jmi,
    &esp_criterion_mi_cmim,      &esp_criterion_wanda,
    &esp_criterion_flap,         &esp_criterion_leverage,
    &esp_criterion_activation,   &esp_criterion_magnitude,
    &esp_criterion_random,       &esp_criterion_layer_information,
    &esp_criterion_layer_cosine, NULL};

esp_status esp_criterion_find(const char *name, const esp_criterion **criterion) {
  int i;
  ESP_TRY(esp_find_pointer("criterion", name, esp_criteria, &i));
  *criterion = esp_criteria[i];
  return ESP_OK;
}

void esp_criterion_add_cost(const esp_criterion *criterion, const esp_criterion_shape *shape,
                            esp_cost *cost) {
  if (criterion->cost) criterion->cost(shape, cost);
}

/* Two blocks of columns a rank: with fewer it has next to nothing to do. */
int esp_criterion_most_ranks(const esp_criterion *criterion, int64_t features) {
  const int64_t most = features / (2 * BLOCK_COLUMNS);
  if (!criterion->rank_by_team || most < 1) return 1;
  return most < INT_MAX ? (int)most : INT_MAX;
}

typedef struct scored {
  double score;
  int64_t unit;
} scored;

static int compare_scored(const void *left, const void *right) {
  const scored *a = left, *b = right;
  if (a->score != b->score) return a->score > b->score ? -1 : 1;
  return (a->unit > b->unit) - (a->unit < b->unit);
}

void esp_rank_by_score(int64_t units, const double *score, int64_t *order) {
  scored *rows = ESP_NEW(scored, units);
  for (int64_t u = 0; u < units; u++) rows[u] = (scored){score[u], u};
  qsort(rows, (size_t)units, sizeof *rows, compare_scored);
  for (int64_t u = 0; u < units; u++) order[u] = rows[u].unit;
  esp_free(&rows);
}

esp_status esp_rank_by_features(const esp_evidence *evidence, esp_feature_score score_of,
                                int64_t *order, double *score) {
  for (int64_t u = 0; u < evidence->units; u++) {
    score[u] = 0.0;
    for (int64_t f = u * evidence->width; f < (u + 1) * evidence->width; f++)
      score[u] += score_of(evidence, f);
  }
  ESP_TRY(esp_check_doubles(evidence->site, "score", score, evidence->units));
  esp_rank_by_score(evidence->units, score, order);
  return ESP_OK;
}

/* Measured, OpenBLAS 0.3.21 at n = 576, 1536, 3072, and 4864 in a run: within 8 %. */
void criteria_keep_packed(double n, esp_cost *cost) {
  enum { ROWS = 420, BUFFER_BYTES = 32 << 20 };
  const double packed = sizeof(double) * ROWS * n;
  esp_cost_hold(cost, packed < BUFFER_BYTES ? packed : BUFFER_BYTES);
}

void criteria_add_map_cost(const esp_criterion_shape *shape, esp_cost *cost) {
  cost->work.serial += 2.0 * (double)(shape->units * shape->width * shape->outputs);
}

esp_status criteria_rank_layers(const esp_evidence *evidence, const double *values,
                                const char *what, int64_t *order, double *score) {
  for (int64_t l = 0; l < evidence->units; l++) score[l] = -values[l];
  ESP_TRY(esp_check_doubles(evidence->site, what, score, evidence->units));
  esp_rank_by_score(evidence->units, score, order);
  return ESP_OK;
}
