/* Ridge leverage scores (Cohen, Musco and Musco, 2017; as in McGuire et al.'s CUR-like choice of
 * neurons): with C = E[x x'] and lambda = ridge mean(diag C), a feature's score is [C (C + lambda
 * I)^-1]_jj; a unit's is the sum over its features. It tells how far a unit is from being a linear
 * function of the others, whatever reads it. */
#include "check.h"
#include "criteria.h"

#include "espalier/core/memory.h"

#include <lapacke.h>

/* C + lambda I, lower triangle, column-major (the matrix is symmetric). */
static double *form_matrix(const esp_evidence *evidence, double *ridge) {
  const int64_t n = evidence->units * evidence->width;
  double *matrix = ESP_NEW(double, n *n);
  double trace = 0.0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++)
      matrix[i * n + j] = evidence->covariance[i * n + j] + evidence->mean[i] * evidence->mean[j];
  for (int64_t i = 0; i < n; i++) trace += matrix[i * n + i];
  *ridge = evidence->ridge * (trace > 0.0 ? trace / (double)n : 1.0);
  for (int64_t i = 0; i < n; i++) matrix[i * n + i] += *ridge;
  return matrix;
}

/* C (C + lambda I)^-1 = I - lambda (C + lambda I)^-1. */
static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) {
  const int64_t n = evidence->units * evidence->width;
  ESP_TRY(esp_check_doubles(evidence->site, "covariance", evidence->covariance, n * n));
  ESP_TRY(esp_check_doubles(evidence->site, "mean", evidence->mean, n));
  double ridge;
  double *matrix = form_matrix(evidence, &ridge);
  const int size = esp_int(n);
  int info = LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', size, matrix, size);
  if (info == 0) info = LAPACKE_dpotri(LAPACK_COL_MAJOR, 'L', size, matrix, size);
  for (int64_t u = 0; u < evidence->units; u++) {
    score[u] = 0.0;
    for (int64_t f = u * evidence->width; f < (u + 1) * evidence->width; f++)
      score[u] += 1.0 - ridge * matrix[f * n + f];
  }
  esp_free(&matrix);
  if (info != 0)
    return esp_fail(ESP_NUMERIC,
                    "site '%s': second moments are not positive definite; raise --ridge (now %g)",
                    evidence->site, evidence->ridge);
  esp_rank_by_score(evidence->units, score, order);
  return ESP_OK;
}

/* A matrix and its inverse in place, F^3 operations. */
static void add_cost(const esp_criterion_shape *shape, esp_cost *cost) {
  const double n = (double)(shape->units * shape->width);
  criteria_keep_packed(n, cost);
  esp_cost_touch(cost, sizeof(double) * n * n);
  cost->work.serial += n * n * n;
}

const esp_criterion esp_criterion_leverage = {
    .name = "leverage",
    .summary = "ridge leverage: how far the unit is from a linear function of the others",
    .needs = ESP_NEEDS_COVARIANCE | ESP_NEEDS_MOMENTS,
    .rank = rank,
    .cost = add_cost};
