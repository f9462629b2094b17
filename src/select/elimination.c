/* One reader's side of backward elimination (set_mi_backward.c has the formulas). */
#include "elimination.h"

#include "block.h"
#include "downdate.h"
#include "inverse.h"
#include "twin.h"

#include "espalier/core/memory.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PANEL = 256 };

/* Least part of a feature's variance that the features before it leave unexplained. */
static const double LEAST_PIVOT = 1e-12;

static void init(elimination *self) {
  const int64_t units = self->units, width = self->width;
  self->a = ESP_NEW(double, units *width *width);
  self->q = ESP_NEW(double, units *width *width);
  self->cost = ESP_NEW(double, units);
  self->columns = ESP_NEW(double, (units * width + 1) * 2 * width);
  self->t = ESP_NEW(double, width *width);
  self->h = ESP_NEW(double, width *width);
  self->floor = ESP_NEW(double, width);
  if (self->evidence.is_fixed && width == 1)
    self->fixed = ESP_NEW(double, units *units);
  else
    esp_schur_init(&self->schur, self->team, units, width, true);
}

void elimination_free(elimination **part) {
  elimination *self = *part;
  if (!self) return;
  if (!self->fixed) esp_schur_clear(&self->schur);
  esp_free(&self->fixed);
  esp_gaussian_clear(&self->gaussian);
  esp_free(&self->a);
  esp_free(&self->q);
  esp_free(&self->cost);
  esp_free(&self->columns);
  esp_free(&self->t);
  esp_free(&self->h);
  esp_free(&self->floor);
  esp_free(part);
}

static esp_status fail_singular(const elimination *self) {
  return esp_fail(ESP_NUMERIC,
                  "site '%s': expected a positive definite covariance, found a singular one with "
                  "ridge %g; use a larger one, such as --ridge %g, or collect more samples",
                  self->site, self->evidence.ridge, fmax(10 * self->evidence.ridge, 1e-4));
}

static bool is_first(const elimination *self) {
  return team_rank_local(self->team) == 0;
}

/* Columns of G + D from the first rank to those that hold them. A's pivots are at least 1 /
 * lambda_max >= 1 / trace(G + D); half of that can only be rounding. */
static void deal_covariance(elimination *self) {
  const block_columns *stored = &self->schur.stored;
  const int64_t n = self->schur.features;
  double *panel = ESP_NEW(double, n *BLOCK_COLUMNS), trace = 0;
  for (int64_t b = 0; b < stored->n; b++) {
    const int64_t first = stored->begin[b], columns = block_columns_count(stored, b);
    double *lower = block_columns_lower(stored, b);
    if (is_first(self))
      esp_gaussian_write_covariance(&self->gaussian, first, columns, panel, n - first);
    team_bcast(self->team, panel, (n - first) * columns * (int64_t)sizeof *panel, 0);
    for (int64_t c = 0; lower && c < columns; c++)
      memcpy(lower + first + c + c * stored->stride, panel + c + c * (n - first),
             (size_t)(n - first - c) * sizeof *panel);
    for (int64_t c = 0; c < columns; c++) trace += panel[c + c * (n - first)];
  }
  for (int64_t k = 0; k < self->width; k++) self->floor[k] = 0.5 / trace;
  esp_free(&panel);
}

/* A = (G + D)^-1; its costs would have no true digits if a pivot were too small. */
static esp_status invert(elimination *self) {
  deal_covariance(self);
  return esp_invert_blocks(&self->schur.stored, LEAST_PIVOT) ? ESP_OK : fail_singular(self);
}

/* Of the units' diagonal blocks what is here of one column: A's below the diagonal, Q's above it.
 */
static void copy_column(elimination *self, int64_t c, const double *lower, const double *upper) {
  const int64_t w = self->width, unit = c / w, k = c % w;
  double *a = self->a + unit * w * w, *q = self->q + unit * w * w;
  for (int64_t i = k; i < w; i++) a[k * w + i] = a[i * w + k] = lower[unit * w + i];
  for (int64_t i = 0; i <= k; i++) q[k * w + i] = q[i * w + k] = upper[unit * w + i];
}

static void copy_blocks(elimination *self) {
  const block_columns *stored = &self->schur.stored;
  const int64_t size = self->units * self->width * self->width;
  for (int64_t b = 0; b < stored->n; b++) {
    const double *lower = block_columns_lower(stored, b), *upper = block_columns_upper(stored, b);
    for (int64_t c = stored->begin[b]; lower && c < stored->begin[b + 1]; c++) {
      copy_column(self, c, lower, upper);
      lower += stored->stride;
      upper += stored->stride;
    }
  }
  team_gather(self->team, self->a, size);
  team_gather(self->team, self->q, size);
}

/* tr(T Q T^T). */
static double compute_trace(int64_t width, const double *t, const double *q) {
  double trace = 0;
  for (int64_t r = 0; r < width; r++)
    for (int64_t j = 0; j <= r; j++) {
      double sum = 0;
      for (int64_t i = 0; i <= r; i++) sum += t[r + i * width] * q[i + j * width];
      trace += sum * t[r + j * width];
    }
  return trace;
}

/* tr(T Q T^T) with T the inverse factor of the unit's block of A; NAN where it is singular. A
 * neuron's is a number, and comes once for every pair of neurons: the same bits without calls. */
static double compute_cost(elimination *self, int64_t unit) {
  const int64_t w = self->width;
  const double *a = self->a + unit * w * w, *q = self->q + unit * w * w;
  if (w > 1)
    return esp_block_whiten(w, a, self->floor, self->t) > 0 ? NAN : compute_trace(w, self->t, q);
  if (!(*a > *self->floor)) return NAN;
  const double t = 1 / sqrt(*a);
  return t * *q * t;
}

static esp_status price(elimination *self, int64_t unit) {
  self->cost[unit] = -1;
  if (esp_gaussian_is_dead(&self->gaussian, unit)) return ESP_OK;
  const double cost = compute_cost(self, unit);
  if (!isfinite(cost)) return fail_singular(self);
  self->cost[unit] = fmax(cost, 0);
  return ESP_OK;
}

/* Without a refit the error is sum_(i,j removed) H_ij, H = M^T M o G, so the next one i costs H_ii
 * + 2 sum_j H_ij. */
static void prepare_fixed(elimination *self) {
  const int64_t n = self->units, outputs = self->evidence.outputs;
  double *map = ESP_NEW(double, n *PANEL);
  for (int64_t first = 0; first < outputs; first += PANEL) {
    const int64_t count = outputs - first < PANEL ? outputs - first : PANEL;
    esp_gaussian_write_map(&self->gaussian, first, count, map);
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, esp_int(n), esp_int(n), esp_int(count), 1,
                map, esp_int(n), map, esp_int(n), 1, self->fixed, esp_int(n));
  }
  for (int64_t i = 0; i < n * n; i++) self->fixed[i] *= self->evidence.covariance[i];
  for (int64_t u = 0; u < n; u++) self->cost[u] = self->fixed[u * n + u];
  esp_free(&map);
}

/* What the others of a team lack. */
static void share_sizes(elimination *self) {
  struct {
    int64_t outputs;
    double ridge;
  } sizes = {self->evidence.outputs, self->gaussian.ridge};
  team_bcast(self->team, &sizes, sizeof sizes, 0);
  self->evidence.outputs = sizes.outputs;
  self->gaussian.ridge = sizes.ridge;
}

static esp_status price_all(elimination *self) {
  for (int64_t u = 0; u < self->units && is_first(self); u++) ESP_TRY(price(self, u));
  return ESP_OK;
}

static esp_status prepare(elimination *self) {
  if (self->fixed) {
    prepare_fixed(self);
    return ESP_OK;
  }
  share_sizes(self);
  ESP_TRY(invert(self));
  esp_add_twin(&self->gaussian, self->evidence.outputs, &self->schur.stored);
  copy_blocks(self);
  return team_agree(self->team, price_all(self));
}

static esp_status init_gaussian(elimination *self) {
  esp_status status = ESP_OK;
  if (is_first(self)) status = esp_gaussian_init(&self->gaussian, &self->evidence);
  return team_agree(self->team, status);
}

esp_status elimination_new(const esp_comm *team, const esp_evidence *evidence, elimination **part) {
  elimination *self = *part = ESP_NEW(elimination, 1);
  self->team = team;
  self->units = evidence->units;
  self->width = evidence->width;
  self->weight = 1;
  self->evidence = *evidence;
  snprintf(self->site, sizeof self->site, "%s", evidence->site);
  esp_status status = init_gaussian(self);
  init(self);
  if (status == ESP_OK && self->units > 0) status = prepare(self);
  if (status != ESP_OK) elimination_free(part);
  return status;
}

/* Fill the pending columns Y and V for unit g: the first rank does, for all. */
static void compute_columns(elimination *self, int64_t g) {
  const esp_schur *schur = &self->schur;
  const int n = esp_int(schur->features), w = esp_int(self->width);
  const double *columns = self->columns, *twins = columns + self->width * schur->features;
  double *y = esp_schur_next_y(schur), *v = esp_schur_next_v(schur);
  esp_block_whiten(w, self->a + g * w * w, self->floor, self->t);
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, n, w, w, 1, columns, n, self->t, w, 0, y, n);
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, n, w, w, 1, twins, n, self->t, w, 0, v, n);
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, w, w, w, 1, self->t, w,
              v + schur->slot[g] * w, n, 0, self->h, w);
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, n, w, w, -0.5, y, n, self->h, w, 1, v, n);
}

/* A unit goes from what all ranks hold. */
static void bring_columns(elimination *self, int64_t g) {
  const int64_t bytes = self->width * self->schur.features * (int64_t)sizeof(double);
  esp_schur_fetch(&self->schur, g, self->columns);
  if (is_first(self)) compute_columns(self, g);
  team_bcast(self->team, esp_schur_next_y(&self->schur), bytes, 0);
  team_bcast(self->team, esp_schur_next_v(&self->schur), bytes, 0);
}

bool elimination_is_dead(const elimination *self, int64_t unit) {
  return esp_gaussian_is_dead(&self->gaussian, unit);
}

/* Y Y^T and Y V^T + V Y^T of a unit's rows, from its blocks of A and Q. */
static void subtract_pair(elimination *self, int64_t unit, const double *y, const double *v) {
  const int64_t w = self->width, stride = self->schur.features;
  double *a = self->a + unit * w * w, *q = self->q + unit * w * w;
  if (w == 1) { // the same bits: a doubled product is exact
    *a -= *y * *y;
    *q -= 2 * (*y * *v);
    return;
  }
  esp_block_subtract(w, 0.5, y, y, stride, a);
  esp_block_subtract(w, 1, y, v, stride, q);
}

/* What the first rank asks of the others: a unit to go, or none any more. */
static const int64_t NONE = -1;

static void tell(const elimination *self, int64_t unit) {
  team_bcast(self->team, &unit, sizeof unit, 0);
}

esp_status elimination_remove(elimination *self, int64_t g) {
  for (int64_t u = 0; u < self->units && self->fixed; u++)
    self->cost[u] += 2 * self->fixed[u * self->units + g];
  if (self->fixed) return ESP_OK;
  esp_schur *schur = &self->schur;
  const int64_t w = self->width;
  const double *next_y = esp_schur_next_y(schur), *next_v = esp_schur_next_v(schur);
  tell(self, g);
  bring_columns(self, g);
  esp_status status = ESP_OK;
  for (int64_t u = 0; u < self->units && status == ESP_OK; u++) {
    if (schur->gone[u] || u == g) continue;
    subtract_pair(self, u, next_y + schur->slot[u] * w, next_v + schur->slot[u] * w);
    status = price(self, u);
  }
  esp_schur_remove(schur, g);
  return status;
}

void elimination_finish(elimination *self) {
  tell(self, NONE);
}

void elimination_serve(elimination *self) {
  for (;;) {
    int64_t unit = NONE;
    team_bcast(self->team, &unit, sizeof unit, 0);
    if (unit == NONE) return;
    bring_columns(self, unit);
    esp_schur_remove(&self->schur, unit);
  }
}

static bool is_fixed(const esp_criterion_shape *shape) {
  return shape->is_fixed && shape->width == 1;
}

static int team_of(const esp_criterion_shape *shape) {
  return shape->team > 1 ? shape->team : 1;
}

/* The matrices, the diagonal blocks, and a unit's columns. */
static double part_bytes(const esp_criterion_shape *shape) {
  const double u = (double)shape->units, w = (double)shape->width, f = u * w;
  const double matrices = is_fixed(shape)
                              ? sizeof(double) * u * u
                              : esp_schur_bytes(shape->units, shape->width, true, team_of(shape));
  return matrices + sizeof(double) * (2.0 * f * w + 2.0 * f * w);
}

/* F^2 of F^3; the number is from two ranks, F = 1,536 and 4,096. */
double elimination_speed(int64_t features, int ranks) {
  const double alone = fmin(1.0, 768.0 / fmax(1.0, (double)features));
  return 1.0 / (alone + (1.0 - alone) / ranks);
}

/* Broadcasts of G + D, of its inversion, and of Y and V of each unit; columns of A and Q are put
 * together. */
static void add_traffic(const esp_criterion_shape *shape, esp_cost *cost) {
  const double f = (double)(shape->units * shape->width), w = (double)shape->width;
  const double sent = esp_invert_sent_bytes(shape->units * shape->width);
  const double columns = sizeof(double) * 2.0 * w * esp_schur_fetched(shape->units, shape->width);
  esp_cost_send(cost, team_of(shape), ESP_BCAST, 1.5 * sent + columns);
  esp_cost_send(cost, team_of(shape), ESP_ALLREDUCE, columns + sizeof(double) * 2.0 * f * w);
}

/* F^3 operations for A, 3 F^2 P for Q and 2 F^3 for all eliminations; or 2 F^2 P for H. */
void elimination_add_cost(const esp_criterion_shape *shape, esp_cost *cost) {
  const double f = (double)(shape->units * shape->width), p = (double)shape->outputs;
  const int team = team_of(shape);
  esp_cost_hold(cost, part_bytes(shape));
  cost->work.serial += is_fixed(shape) ? 2.0 * f * f * p
                                       : 3.0 * f * f * (f + p) /
                                             elimination_speed(shape->units * shape->width, team);
  if (is_fixed(shape)) {
    esp_cost_touch(cost, sizeof(double) * f * PANEL);
    return;
  }
  esp_add_twin_cost(shape->units * shape->width, shape->outputs, team, cost);
  add_traffic(shape, cost);
}
