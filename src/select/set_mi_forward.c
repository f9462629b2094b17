/* Forward selection under the Gaussian model (gaussian.h): take next the unit with the largest
 * gain of sum_j I(x_K; y_j) = -1/2 sum_j log(Var(y_j | x_K) / Var(y_j)).
 *
 * A pivoted Cholesky of S = G + D carries C = Cov(x, y | x_K) (F, P) and Var(y_j | x_K) along. With
 * T whitening S_gg, Y = S_:g T^T and Z = T C_g, choosing g means
 * - S -= Y Y^T, C -= Y Z, Var_j -= sum_a Z_aj^2
 * - gain_g = -1/2 sum_j log(1 - sum_a Z_aj^2 / Var_j)
 *
 * Units with several readers (the hidden dimensions) come by the sum of the gains over all readers,
 * each with an S, a C and variances of its own and divided by the number of its outputs (ours): a
 * plain sum would let a reader count by its rows, and the head by --top-units. A reader that will
 * not be refitted predicts y with its map as it stands, from what is there; Var_j is then the
 * variance of that prediction's error, and a gain may be negative.
 *
 * O(F (F + P)) a unit and reader; 8 F (F + 1 + P) bytes. output_scale cancels, but for a zero,
 * which drops the output. */
#include "appraisal.h"
#include "check.h"
#include "criteria.h"
#include "joint_rule.h"

#include "espalier/core/memory.h"

#include <math.h>

/* Gains below this part of the largest first gain are rounding, hence ties. */
static const double NOISE = 1e-13;

typedef struct selection {
  joint_part **parts;
  int n;
  int64_t units;
  bool *chosen; // (U)
  double noise;
} selection;

static appraisal *get_reader(const selection *self, int r) {
  return (appraisal *)self->parts[r];
}

/* -INFINITY: dead to all readers. */
static double sum_gains(const selection *self, int64_t unit) {
  double sum = 0;
  bool is_dead = true;
  for (int r = 0; r < self->n; r++) {
    const appraisal *reader = get_reader(self, r);
    if (appraisal_is_dead(reader, unit)) continue;
    sum += reader->weight * reader->gain[unit];
    is_dead = false;
  }
  return is_dead ? -INFINITY : sum;
}

static double find_largest(const selection *self) {
  double largest = -INFINITY;
  for (int64_t u = 0; u < self->units; u++)
    if (!self->chosen[u]) largest = fmax(largest, sum_gains(self, u));
  return largest;
}

/* The largest gain; the lowest index among ties. */
static int64_t pick(const selection *self) {
  const double largest = find_largest(self);
  const double bound = largest - fabs(largest) * ESP_TIE - self->noise;
  for (int64_t u = 0; u < self->units; u++)
    if (!self->chosen[u] && (isinf(largest) || sum_gains(self, u) >= bound)) return u;
  esp_panic(__FILE__, __LINE__, "no unit left to choose");
}

/* A unit's score is its gain when chosen, or the least before it if that is less. */
static void run(selection *self, int64_t *order, double *score) {
  double least = INFINITY;
  self->noise = NOISE * fmax(0, find_largest(self));
  for (int64_t k = 0; k < self->units; k++) {
    order[k] = pick(self);
    least = fmin(least, fmax(0, sum_gains(self, order[k])));
    score[order[k]] = least;
    self->chosen[order[k]] = true;
    for (int r = 0; r < self->n && k + 1 < self->units; r++)
      appraisal_choose(get_reader(self, r), order[k]);
  }
}

static esp_status rank_jointly(const joint_readers *readers, int64_t *order, double *score) {
  if (readers->n == 0) return ESP_OK;
  selection self = {.parts = readers->parts, .n = readers->n, .units = readers->units};
  self.chosen = ESP_NEW(bool, self.units);
  run(&self, order, score);
  esp_free(&self.chosen);
  return esp_check_doubles(get_reader(&self, 0)->site, "gain", score, self.units);
}

/* Gains are nats an output, so that readers count equally. */
static esp_status add_reader(const esp_evidence *evidence, joint_part **part) {
  appraisal *reader = NULL;
  const esp_status status = appraisal_new(evidence, &reader);
  if (status == ESP_OK && evidence->outputs > 0) reader->weight = 1 / (double)evidence->outputs;
  *part = (joint_part *)reader;
  return status;
}

static void free_reader(joint_part **part) {
  appraisal *reader = (appraisal *)*part;
  appraisal_free(&reader);
  *part = NULL;
}

static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) {
  appraisal *reader = NULL;
  ESP_TRY(appraisal_new(evidence, &reader));
  const esp_status status = rank_jointly(
      &(joint_readers){
          .parts = &(joint_part *){(joint_part *)reader}, .n = 1, .units = evidence->units},
      order, score);
  appraisal_free(&reader);
  return status;
}

static void add_cost(const esp_criterion_shape *shape, esp_cost *cost) {
  esp_cost ranking = {0};
  appraisal_add_cost(shape, &ranking);
  ranking.kept_bytes = 0.0;
  esp_cost_add(cost, &ranking);
}

static const joint_rule rule = {
    .add = add_reader, .rank = rank_jointly, .free = free_reader, .cost = appraisal_add_cost};

const esp_criterion esp_criterion_set_mi_forward = {
    .name = "set-mi-forward",
    .summary = "information of the kept set about all preserved units, by forward selection",
    .needs = ESP_NEEDS_COVARIANCE | ESP_NEEDS_MAP,
    .tells_information = true,
    .is_greedy = true,
    .joint = &rule,
    .rank = rank,
    .cost = add_cost};
