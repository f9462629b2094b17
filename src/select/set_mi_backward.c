/* Backward elimination under the Gaussian model (gaussian.h). With A = (G + D)^-1 and B = A G M^T,
 * dropping unit g raises the error of the best linear prediction of y by tr(B_g^T (A_gg)^-1 B_g);
 * Optimal Brain Surgeon's formula for a set of outputs [Hassibi & Stork 1992].
 *
 * Only Q = B B^T (F, F) is carried, not B (F, P): the cost is tr(T Q_gg T^T) with T A_gg T^T = I.
 * The Schur complements, with Y = A_:g T^T, C = Q_:g T^T, H = T C_g and V = C - Y H / 2:
 * - A -= Y Y^T
 * - Q -= Y V^T + V Y^T
 *
 * Double precision: cancellation loses eps cond(G + D) <= eps (F / ridge + 1) of a cost, relative,
 * about 1e-8 at F = 10^4 and ridge = 1e-4, which single precision could not afford.
 *
 * Units with several readers r (the hidden dimensions) go by the sum of the costs over all readers,
 * each with an A and a B of its own and divided by tr(M G M^T) (ours): one decision, one downdate a
 * reader. For a reader that will not be refitted the cost is what the error rises by as it stands.
 *
 * F^3 operations for A, 3 F^2 P for Q and 2 F^3 for all eliminations, nearly all in BLAS level 3:
 * F = 11008, P = 4096 down to the last unit takes 3 minutes of one core and 1 GB beside the
 * evidence, 8 F (F + 1) bytes and thin panels. */
#include "criteria.h"
#include "elimination.h"
#include "joint_rule.h"

#include "espalier/core/memory.h"
#include "espalier/select/metric.h"

#include <math.h>

/* Costs below this part of the largest first cost are rounding, hence ties. */
static const double NOISE = 1e-13;

typedef struct readers {
  joint_part **parts;
  int n;
  int64_t units;
  bool *gone; // (U)
  double noise;
} readers;

static elimination *get_reader(const readers *self, int r) {
  return (elimination *)self->parts[r];
}

/* -1: dead to all readers. */
static double sum_costs(const readers *self, int64_t unit) {
  double sum = 0;
  bool is_dead = true;
  for (int r = 0; r < self->n; r++) {
    const elimination *part = get_reader(self, r);
    if (elimination_is_dead(part, unit)) continue;
    sum += part->weight * part->cost[unit];
    is_dead = false;
  }
  return is_dead ? -1 : fmax(sum, 0);
}

static void set_noise(readers *self) {
  double largest = 0;
  for (int64_t u = 0; u < self->units; u++) largest = fmax(largest, sum_costs(self, u));
  self->noise = NOISE * largest;
}

/* The cheapest unit; among ties the highest index goes, so that the lowest is kept. */
static int64_t pick(const readers *self) {
  double least = INFINITY;
  for (int64_t u = 0; u < self->units; u++)
    if (!self->gone[u]) least = fmin(least, sum_costs(self, u));
  const double bound = least < 0 ? least : least * (1 + ESP_TIE) + self->noise;
  for (int64_t u = self->units - 1; u >= 0; u--)
    if (!self->gone[u] && sum_costs(self, u) <= bound) return u;
  esp_panic(__FILE__, __LINE__, "no unit left to eliminate");
}

static esp_status eliminate(readers *self, int64_t unit) {
  for (int r = 0; r < self->n; r++) ESP_TRY(elimination_remove(get_reader(self, r), unit));
  self->gone[unit] = true;
  return ESP_OK;
}

/* A unit's score is its cost when it went, or the largest before it if that is more. */
static esp_status run(readers *self, int64_t *order, double *score) {
  double largest = 0;
  set_noise(self);
  for (int64_t k = self->units - 1; k >= 0; k--) {
    order[k] = pick(self);
    largest = fmax(largest, sum_costs(self, order[k]));
    score[order[k]] = largest;
    if (k > 0) ESP_TRY(eliminate(self, order[k]));
  }
  return ESP_OK;
}

static esp_status rank_jointly(joint_part **parts, int n, int64_t *order, double *score) {
  if (n == 0) return ESP_OK;
  readers self = {.parts = parts, .n = n};
  self.units = get_reader(&self, 0)->units;
  self.gone = ESP_NEW(bool, self.units);
  const esp_status status = run(&self, order, score);
  esp_free(&self.gone);
  return status;
}

static esp_status decide(elimination *part, int64_t *order, double *score) {
  const esp_status status = rank_jointly(&(joint_part *){(joint_part *)part}, 1, order, score);
  elimination_finish(part);
  return status;
}

/* The first rank decides, the others hold columns and change them. */
esp_status esp_rank_backward_by_team(const esp_comm *team, const esp_evidence *evidence,
                                     int64_t *order, double *score) {
  elimination *part = NULL;
  esp_status status = elimination_new(team, evidence, &part);
  if (status != ESP_OK) return status;
  if (team_rank_local(team) == 0)
    status = decide(part, order, score);
  else
    elimination_serve(part);
  elimination_free(&part);
  return status;
}

esp_status esp_rank_backward(const esp_evidence *evidence, int64_t *order, double *score) {
  return esp_rank_backward_by_team(NULL, evidence, order, score);
}

/* Costs are parts of the variance of all that a reader gives, so that readers count equally. */
static esp_status add_reader(const esp_evidence *evidence, joint_part **part) {
  double *scale = ESP_NEW(double, evidence->outputs), total = 0;
  elimination *reader = NULL;
  esp_status status = esp_compute_output_scale(evidence, scale);
  for (int64_t j = 0; j < evidence->outputs; j++) total += 1 / (scale[j] * scale[j]);
  esp_free(&scale);
  if (status == ESP_OK) status = elimination_new(NULL, evidence, &reader);
  if (status == ESP_OK && total > 0) reader->weight = 1 / total;
  *part = (joint_part *)reader;
  return status;
}

static void add_reader_cost(const esp_criterion_shape *shape, esp_cost *cost) {
  esp_output_scale_add_cost(shape, cost);
  elimination_add_cost(shape, cost);
}

void esp_rank_backward_cost(const esp_criterion_shape *shape, esp_cost *cost) {
  esp_cost ranking = {0};
  elimination_add_cost(shape, &ranking);
  ranking.kept_bytes = 0.0;
  criteria_keep_packed((double)(shape->units * shape->width), cost);
  if (shape->has_metric) esp_metric_add_cost(shape, cost);
  esp_cost_add(cost, &ranking);
}

static void free_reader(joint_part **part) {
  elimination *reader = (elimination *)*part;
  elimination_free(&reader);
  *part = NULL;
}

const joint_rule esp_joint_backward = {
    .add = add_reader, .rank = rank_jointly, .free = free_reader, .cost = add_reader_cost};

const esp_criterion esp_criterion_set_mi = {
    .name = "set-mi",
    .summary = "information of the kept set about all preserved units, by backward elimination",
    .needs = ESP_NEEDS_COVARIANCE | ESP_NEEDS_MAP | ESP_NEEDS_METRIC,
    .tells_information = true,
    .is_greedy = true,
    .joint = &esp_joint_backward,
    .rank = esp_rank_backward,
    .rank_by_team = esp_rank_backward_by_team,
    .team_speed = elimination_speed,
    .cost = esp_rank_backward_cost};
