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
#include <string.h>

/* Costs below this part of the largest first cost are rounding, hence ties. */
static const double NOISE = 1e-13;

/* Units that are left, and what each would cost all readers. */
typedef struct readers {
  const joint_readers *all;
  int64_t n_left;
  int64_t *left; // (U), ascending
  double *costs; // (n, n_left) of the readers here; on the first rank of all
  double *sums;  // (n_left) there: -1 where a unit is dead to all
  double noise;
} readers;

static const double DEAD = -1;

static elimination *get_reader(const readers *self, int r) {
  return (elimination *)self->all->parts[r];
}

static void write_costs(const readers *self, int r) {
  const elimination *part = get_reader(self, r);
  double *costs = self->costs + r * self->n_left;
  for (int64_t i = 0; i < self->n_left; i++) {
    const int64_t unit = self->left[i];
    costs[i] = !part ? 0 : elimination_is_dead(part, unit) ? DEAD : part->weight * part->cost[unit];
  }
}

static double sum_costs(const readers *self, int64_t i) {
  double sum = 0;
  bool is_dead = true;
  for (int r = 0; r < self->all->n; r++) {
    const double cost = self->costs[r * self->n_left + i];
    if (cost < 0) continue;
    sum += cost;
    is_dead = false;
  }
  return is_dead ? DEAD : fmax(sum, 0);
}

/* What every unit that is left would cost, from the ranks that hold the readers to the first. */
static void gather_costs(readers *self) {
  for (int r = 0; r < self->all->n; r++) write_costs(self, r);
  team_gather(self->all->team, self->costs, self->all->n * self->n_left);
  for (int64_t i = 0; i < self->n_left; i++) self->sums[i] = sum_costs(self, i);
}

static void set_noise(readers *self) {
  double largest = 0;
  for (int64_t i = 0; i < self->n_left; i++) largest = fmax(largest, self->sums[i]);
  self->noise = NOISE * largest;
}

/* Where the cheapest unit stands; among ties the highest index goes, so that the lowest is kept. */
static int64_t pick(const readers *self) {
  double least = INFINITY;
  for (int64_t i = 0; i < self->n_left; i++) least = fmin(least, self->sums[i]);
  const double bound = least < 0 ? least : least * (1 + ESP_TIE) + self->noise;
  for (int64_t i = self->n_left - 1; i >= 0; i--)
    if (self->sums[i] <= bound) return i;
  esp_panic(__FILE__, __LINE__, "no unit left to eliminate");
}

static esp_status eliminate(const readers *self, int64_t unit) {
  esp_status status = ESP_OK;
  for (int r = 0; r < self->all->n && status == ESP_OK; r++)
    if (get_reader(self, r)) status = elimination_remove(get_reader(self, r), unit);
  return status;
}

static void drop(readers *self, int64_t at) {
  self->n_left--;
  memmove(self->left + at, self->left + at + 1, (size_t)(self->n_left - at) * sizeof *self->left);
}

/* The first rank decides; what others compute of sums is of their readers alone, and not read. */
static int64_t choose(readers *self) {
  gather_costs(self);
  if (self->noise < 0) set_noise(self);
  int64_t at = pick(self);
  team_bcast(self->all->team, &at, sizeof at, 0);
  return at;
}

/* A unit's score is its cost when it went, or the largest before it if that is more. */
static esp_status run(readers *self, int64_t *order, double *score) {
  double largest = 0;
  esp_status status = ESP_OK;
  while (self->n_left > 0 && status == ESP_OK) {
    const int64_t at = choose(self), unit = self->left[at];
    largest = fmax(largest, self->sums[at]);
    order[self->n_left - 1] = unit;
    score[unit] = largest;
    drop(self, at);
    if (self->n_left > 0) status = team_agree(self->all->team, eliminate(self, unit));
  }
  return status;
}

static esp_status rank_jointly(const joint_readers *all, int64_t *order, double *score) {
  const int64_t units = all->units;
  readers self = {.all = all,
                  .n_left = units,
                  .left = ESP_NEW(int64_t, units),
                  .costs = ESP_NEW(double, all->n *units),
                  .sums = ESP_NEW(double, units),
                  .noise = -1};
  for (int64_t u = 0; u < units; u++) self.left[u] = u;
  const esp_status status = run(&self, order, score);
  esp_free(&self.left);
  esp_free(&self.costs);
  esp_free(&self.sums);
  return status;
}

static esp_status decide(elimination *part, int64_t *order, double *score) {
  const joint_readers one = {
      .parts = &(joint_part *){(joint_part *)part}, .n = 1, .units = part->units};
  const esp_status status = rank_jointly(&one, order, score);
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

const joint_rule esp_joint_backward = {.add = add_reader,
                                       .rank = rank_jointly,
                                       .free = free_reader,
                                       .cost = add_reader_cost,
                                       .is_shared = true};

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
