/* One reader's side of backward elimination (set_mi_backward.c has the formulas). */
#include "elimination.h"

#include "block.h"
#include "downdate.h"

#include "espalier/core/memory.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <omp.h>
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
  self->columns = ESP_NEW(double, (units * width + 1) * width);
  self->t = ESP_NEW(double, width *width);
  self->h = ESP_NEW(double, width *width);
  self->floor = ESP_NEW(double, width);
  if (self->evidence.is_fixed && width == 1)
    self->fixed = ESP_NEW(double, units *units);
  else
    esp_schur_init(&self->schur, units, width, true);
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

/* A's pivots are at least 1 / lambda_max >= 1 / trace(G + D); half of that can only be rounding. */
static void set_floor(elimination *self) {
  const esp_schur *schur = &self->schur;
  double trace = 0;
  for (int64_t f = 0; f < schur->features; f++)
    trace += esp_schur_lower(schur)[f + f * schur->stride];
  for (int64_t k = 0; k < self->width; k++) self->floor[k] = 0.5 / trace;
}

/* Pivots of the Cholesky factor so small that the costs would have no true digits. */
static bool is_singular(const elimination *self) {
  const int64_t n = self->schur.features, stride = self->schur.stride;
  const double *covariance = self->evidence.covariance;
  for (int64_t f = 0; f < n; f++) {
    const double pivot = esp_schur_lower(&self->schur)[f + f * stride];
    if (pivot * pivot <= LEAST_PIVOT * (covariance[f + f * n] + self->gaussian.ridge)) return true;
  }
  return false;
}

/* A = (G + D)^-1 in the lower triangle. */
static esp_status invert(elimination *self) {
  const int n = esp_int(self->schur.features), ld = esp_int(self->schur.stride);
  double *lower = esp_schur_lower(&self->schur);
  esp_gaussian_write_covariance(&self->gaussian, lower, ld);
  set_floor(self);
  if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', n, lower, ld) != 0 || is_singular(self))
    return fail_singular(self);
  const int info = LAPACKE_dpotri_work(LAPACK_COL_MAJOR, 'L', n, lower, ld);
  return info == 0 ? ESP_OK : fail_singular(self);
}

static int64_t count_panel(const elimination *self, int64_t first) {
  const int64_t left = self->evidence.outputs - first;
  return left < PANEL ? left : PANEL;
}

static int64_t count_panels_at_once(int64_t outputs) {
  const int64_t panels = (outputs + PANEL - 1) / PANEL, threads = omp_get_max_threads();
  if (panels < 1) return 1;
  return panels < threads ? panels : threads;
}

/* A panel of B = A G M^T = (I - A D) M^T. */
static void compute_panel(const elimination *self, int64_t first, double *map, double *b) {
  const int64_t features = self->schur.features, count = count_panel(self, first);
  const int n = esp_int(features), ld = esp_int(self->schur.stride);
  esp_gaussian_write_map(&self->gaussian, first, count, map);
  memcpy(b, map, (size_t)(features * count) * sizeof *b);
  cblas_dsymm(CblasColMajor, CblasLeft, CblasLower, n, esp_int(count), -self->gaussian.ridge,
              esp_schur_lower(&self->schur), ld, map, n, 1, b, n);
}

/* Q = B B^T, by as many panels of outputs at a time as threads have; added one by one. */
static void compute_twin(elimination *self) {
  const int64_t features = self->schur.features, outputs = self->evidence.outputs;
  const int64_t step = PANEL * count_panels_at_once(outputs);
  double *map = ESP_NEW(double, features *step), *b = ESP_NEW(double, features *step);
  for (int64_t begin = 0; begin < outputs; begin += step) {
    const int64_t end = outputs - begin < step ? outputs : begin + step;
#pragma omp parallel for schedule(dynamic)
    for (int64_t first = begin; first < end; first += PANEL)
      compute_panel(self, first, map + features * (first - begin), b + features * (first - begin));
    for (int64_t first = begin; first < end; first += PANEL) {
      const thin panel = {.n = features,
                          .k = count_panel(self, first),
                          .ld = features,
                          .factor = 1,
                          .y = b + features * (first - begin)};
      esp_add_square_upper(&panel, esp_schur_upper(&self->schur), self->schur.stride);
    }
  }
  esp_free(&map);
  esp_free(&b);
}

static void copy_blocks(elimination *self) {
  const int64_t w = self->width, stride = self->schur.stride;
  for (int64_t u = 0; u < self->units; u++)
    for (int64_t j = 0; j < w; j++)
      for (int64_t i = 0; i < w; i++) {
        const int64_t low = u * w + (i > j ? i : j), high = u * w + (i > j ? j : i);
        self->a[(u * w + j) * w + i] = esp_schur_lower(&self->schur)[low + high * stride];
        self->q[(u * w + j) * w + i] = esp_schur_upper(&self->schur)[high + low * stride];
      }
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

static esp_status prepare(elimination *self) {
  if (self->fixed) {
    prepare_fixed(self);
    return ESP_OK;
  }
  ESP_TRY(invert(self));
  compute_twin(self);
  copy_blocks(self);
  for (int64_t u = 0; u < self->units; u++) ESP_TRY(price(self, u));
  return ESP_OK;
}

esp_status elimination_new(const esp_evidence *evidence, elimination **part) {
  elimination *self = *part = ESP_NEW(elimination, 1);
  self->units = evidence->units;
  self->width = evidence->width;
  self->weight = 1;
  self->evidence = *evidence;
  snprintf(self->site, sizeof self->site, "%s", evidence->site);
  esp_status status = esp_gaussian_init(&self->gaussian, &self->evidence);
  init(self);
  if (status == ESP_OK && self->units > 0) status = prepare(self);
  if (status != ESP_OK) elimination_free(part);
  return status;
}

/* Fill the pending columns Y and V for unit g. */
static void compute_columns(elimination *self, int64_t g) {
  const esp_schur *schur = &self->schur;
  const int n = esp_int(schur->features), w = esp_int(self->width), ld = esp_int(schur->stride);
  double *y = esp_schur_next_y(schur), *v = esp_schur_next_v(schur);
  esp_block_whiten(w, self->a + g * w * w, self->floor, self->t);
  esp_schur_fetch(schur, g, self->columns);
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, n, w, w, 1, self->columns, ld, self->t, w, 0,
              y, ld);
  esp_schur_fetch_twin(schur, g, self->columns);
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, n, w, w, 1, self->columns, ld, self->t, w, 0,
              v, ld);
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, w, w, w, 1, self->t, w,
              v + schur->slot[g] * w, ld, 0, self->h, w);
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, n, w, w, -0.5, y, ld, self->h, w, 1, v,
              ld);
}

bool elimination_is_dead(const elimination *self, int64_t unit) {
  return esp_gaussian_is_dead(&self->gaussian, unit);
}

/* Y Y^T and Y V^T + V Y^T of a unit's rows, from its blocks of A and Q. */
static void subtract_pair(elimination *self, int64_t unit, const double *y, const double *v) {
  const int64_t w = self->width, stride = self->schur.stride;
  double *a = self->a + unit * w * w, *q = self->q + unit * w * w;
  if (w == 1) { // the same bits: a doubled product is exact
    *a -= *y * *y;
    *q -= 2 * (*y * *v);
    return;
  }
  esp_block_subtract(w, 0.5, y, y, stride, a);
  esp_block_subtract(w, 1, y, v, stride, q);
}

esp_status elimination_remove(elimination *self, int64_t g) {
  for (int64_t u = 0; u < self->units && self->fixed; u++)
    self->cost[u] += 2 * self->fixed[u * self->units + g];
  if (self->fixed) return ESP_OK;
  esp_schur *schur = &self->schur;
  const int64_t w = self->width;
  const double *next_y = esp_schur_next_y(schur), *next_v = esp_schur_next_v(schur);
  compute_columns(self, g);
  for (int64_t u = 0; u < self->units; u++) {
    if (schur->gone[u] || u == g) continue;
    subtract_pair(self, u, next_y + schur->slot[u] * w, next_v + schur->slot[u] * w);
    ESP_TRY(price(self, u));
  }
  esp_schur_remove(schur, g);
  return ESP_OK;
}

static bool is_fixed(const esp_criterion_shape *shape) {
  return shape->is_fixed && shape->width == 1;
}

/* The matrices, the diagonal blocks, and a unit's columns. */
static double part_bytes(const esp_criterion_shape *shape) {
  const double u = (double)shape->units, w = (double)shape->width, f = u * w;
  const double matrices =
      is_fixed(shape) ? sizeof(double) * u * u : esp_schur_bytes(shape->units, shape->width, true);
  return matrices + sizeof(double) * (2.0 * f * w + f * w);
}

/* F^3 operations for A, 3 F^2 P for Q and 2 F^3 for all eliminations; or 2 F^2 P for H. */
void elimination_add_cost(const esp_criterion_shape *shape, esp_cost *cost) {
  const double f = (double)(shape->units * shape->width), p = (double)shape->outputs;
  const double panels = is_fixed(shape) ? 1.0 : 2.0 * (double)count_panels_at_once(shape->outputs);
  esp_cost_hold(cost, part_bytes(shape));
  esp_cost_touch(cost, sizeof(double) * f * panels * PANEL);
  cost->work.serial += is_fixed(shape) ? 2.0 * f * f * p : 3.0 * f * f * (f + p);
}
