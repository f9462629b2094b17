/* One reader's side of forward selection (set_mi_forward.c has the formulas). */
#include "appraisal.h"

#include "block.h"

#include "espalier/core/memory.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <stdio.h>

enum { PANEL = 256, LANES = 8, FACTORS = 16 };

/* What is left of a variance below this part of the first counts as explained. */
static const double EXPLAINED = 1e-12;

static void init(appraisal *self) {
  const int64_t units = self->units, w = self->width, outputs = self->outputs;
  self->blocks = ESP_NEW(double, units *w *w);
  self->floor = ESP_NEW(double, units *w);
  self->cross = ESP_NEW(double, units *w *outputs);
  self->variance = ESP_NEW(double, outputs);
  self->least = ESP_NEW(double, outputs);
  self->inverse = ESP_NEW(double, outputs);
  self->gain = ESP_NEW(double, units);
  self->columns = ESP_NEW(double, (units * w + 1) * w);
  self->t = ESP_NEW(double, w *w);
  self->chosen = ESP_NEW(double, w *outputs);
  self->z = ESP_NEW(double, w *outputs);
  self->share = ESP_NEW(double, outputs);
  if (self->evidence.is_fixed && w == 1) self->fixed = ESP_NEW(double, units *outputs);
  esp_schur_init(&self->schur, NULL, units, w, false);
}

void appraisal_free(appraisal **part) {
  appraisal *self = *part;
  if (!self) return;
  double **arrays[] = {&self->blocks,  &self->floor, &self->cross,   &self->variance, &self->least,
                       &self->inverse, &self->gain,  &self->columns, &self->t,        &self->chosen,
                       &self->z,       &self->share, &self->fixed};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) esp_free(arrays[i]);
  esp_schur_clear(&self->schur);
  esp_gaussian_clear(&self->gaussian);
  esp_free(part);
}

bool appraisal_is_dead(const appraisal *self, int64_t unit) {
  return esp_gaussian_is_dead(&self->gaussian, unit);
}

static void copy_blocks(appraisal *self) {
  const int64_t w = self->width, stride = self->schur.stride;
  const double *lower = esp_schur_lower(&self->schur);
  for (int64_t u = 0; u < self->units; u++)
    for (int64_t j = 0; j < w; j++)
      for (int64_t i = 0; i < w; i++)
        self->blocks[(u * w + j) * w + i] =
            lower[u * w + (i > j ? i : j) + (u * w + (i > j ? j : i)) * stride];
  for (int64_t f = 0; f < self->schur.features; f++)
    self->floor[f] = EXPLAINED * lower[f + f * stride];
}

/* Columns [first, first + count) of C = (G + D) M^T - D M^T, and Var_j = m_j C_:j. The map's rows
 * are C's columns, so BLAS sees C^T column-major with the symmetric matrix at its right. */
static void compute_cross_panel(appraisal *self, int64_t first, int64_t count, double *rows) {
  const int64_t n = self->schur.features, outputs = self->outputs;
  double *transposed = rows + PANEL * n;
  esp_gaussian_write_map(&self->gaussian, first, count, rows);
  for (int64_t f = 0; f < n; f++)
    for (int64_t j = 0; j < count; j++)
      self->cross[f * outputs + first + j] = transposed[f * count + j] = rows[j * n + f];
  cblas_dsymm(CblasColMajor, CblasRight, CblasLower, esp_int(count), esp_int(n), 1,
              esp_schur_lower(&self->schur), esp_int(self->schur.stride), transposed,
              esp_int(count), -self->gaussian.ridge, self->cross + first, esp_int(outputs));
  for (int64_t j = 0; j < count; j++)
    self->variance[first + j] =
        cblas_ddot(esp_int(n), rows + j * n, 1, self->cross + first + j, esp_int(outputs));
}

static void compute_cross(appraisal *self) {
  double *rows = ESP_NEW(double, 2 * PANEL * self->schur.features);
  for (int64_t j = 0; j < self->outputs; j += PANEL)
    compute_cross_panel(self, j, self->outputs - j < PANEL ? self->outputs - j : PANEL, rows);
  for (int64_t j = 0; j < self->outputs; j++) self->least[j] = EXPLAINED * self->variance[j];
  esp_free(&rows);
}

static void update_inverses(appraisal *self) {
  for (int64_t j = 0; j < self->outputs; j++) {
    const double variance = self->variance[j];
    self->inverse[j] = variance > 0 && variance > self->least[j] ? 1 / variance : 0;
  }
}

/* z = T C_g (w, P), share_j = sum_a Z_aj^2. */
static void explain(appraisal *self, int64_t unit, double *z) {
  const int64_t w = self->width, outputs = self->outputs;
  double *share = self->share;
  esp_block_whiten(w, self->blocks + unit * w * w, self->floor + unit * w, self->t);
  for (int64_t a = 0; a < w; a++, z += outputs) {
    const double *cross = self->cross + unit * w * outputs, first = self->t[a];
    for (int64_t j = 0; j < outputs; j++) z[j] = first * cross[j];
    for (int64_t b = 1; b <= a; b++) {
      const double t = self->t[a + b * w];
      cross += outputs;
      for (int64_t j = 0; j < outputs; j++) z[j] += t * cross[j];
    }
    for (int64_t j = 0; j < outputs; j++) share[j] = (a > 0 ? share[j] : 0) + z[j] * z[j];
  }
}

/* Without a refit y is predicted by M_K (x_K + n_K), n of covariance D as in G + D; with C = Cov(x,
 * error), unit u takes 2 m_ju C_uj - m_ju^2 (G + D)_uu of the error's variance: may be below 0. */
static void explain_as_it_stands(appraisal *self, int64_t unit) {
  const double *map = self->fixed + unit * self->outputs;
  const double *cross = self->cross + unit * self->outputs, variance = self->blocks[unit];
  for (int64_t j = 0; j < self->outputs; j++)
    self->share[j] = map[j] * (2 * cross[j] - map[j] * variance);
}

/* What is left of Var_j; rounding may take it to or below 0 once an output is all but explained. */
static double compute_ratio(double share, double inverse) {
  return fabs(1 - share * inverse) + DBL_EPSILON;
}

/* log of the product of 8 lanes, each at least eps^16, by mantissas and exponents. */
static double compute_log_product(const double product[LANES]) {
  double mantissa = 1;
  int exponents = 0;
  for (int lane = 0; lane < LANES; lane++) {
    int exponent;
    mantissa *= frexp(product[lane], &exponent);
    exponents += exponent;
  }
  return log(mantissa) + exponents * 0.69314718055994531;
}

/* sum_j log(1 - share_j inverse_j), one logarithm for 128 factors. */
static double sum_logarithms(int64_t n, const double *share, const double *inverse) {
  double sum = 0;
  int64_t j = 0;
  for (; j + LANES * FACTORS <= n; j += LANES * FACTORS) {
    double product[LANES] = {1, 1, 1, 1, 1, 1, 1, 1};
    for (int64_t k = j; k < j + LANES * FACTORS; k += LANES)
      for (int lane = 0; lane < LANES; lane++)
        product[lane] *= compute_ratio(share[k + lane], inverse[k + lane]);
    sum += compute_log_product(product);
  }
  for (; j < n; j++) sum += log(compute_ratio(share[j], inverse[j]));
  return sum;
}

static void appraise(appraisal *self, int64_t unit) {
  self->gain[unit] = 0;
  if (appraisal_is_dead(self, unit)) return;
  if (self->fixed)
    explain_as_it_stands(self, unit);
  else
    explain(self, unit, self->z);
  const double gain = -0.5 * sum_logarithms(self->outputs, self->share, self->inverse);
  self->gain[unit] = self->fixed ? gain : fmax(0, gain);
}

static void copy_map(appraisal *self) {
  double *rows = ESP_NEW(double, PANEL * self->units);
  for (int64_t first = 0; first < self->outputs; first += PANEL) {
    const int64_t count = self->outputs - first < PANEL ? self->outputs - first : PANEL;
    esp_gaussian_write_map(&self->gaussian, first, count, rows);
    for (int64_t u = 0; u < self->units; u++)
      for (int64_t j = 0; j < count; j++)
        self->fixed[u * self->outputs + first + j] = rows[j * self->units + u];
  }
  esp_free(&rows);
}

static void prepare(appraisal *self) {
  esp_gaussian_write_covariance(&self->gaussian, 0, self->schur.features,
                                esp_schur_lower(&self->schur), self->schur.stride);
  copy_blocks(self);
  compute_cross(self);
  update_inverses(self);
  if (self->fixed) copy_map(self);
  for (int64_t u = 0; u < self->units; u++) appraise(self, u);
}

esp_status appraisal_new(const esp_evidence *evidence, appraisal **part) {
  appraisal *self = *part = ESP_NEW(appraisal, 1);
  self->units = evidence->units;
  self->width = evidence->width;
  self->outputs = evidence->outputs;
  self->weight = 1;
  self->evidence = *evidence;
  snprintf(self->site, sizeof self->site, "%s", evidence->site);
  const esp_status status = esp_gaussian_init(&self->gaussian, &self->evidence);
  init(self);
  if (status == ESP_OK && self->units > 0) prepare(self);
  if (status != ESP_OK) appraisal_free(part);
  return status;
}

/* C_u -= Y_u Z. */
static void update_cross(appraisal *self, int64_t unit, const double *y) {
  for (int64_t k = 0; k < self->width; k++)
    for (int64_t a = 0; a < self->width; a++) {
      double *cross = self->cross + (unit * self->width + k) * self->outputs;
      const double *z = self->chosen + a * self->outputs, factor = y[k + a * self->schur.features];
      for (int64_t j = 0; j < self->outputs; j++) cross[j] -= factor * z[j];
    }
}

/* Y and Z, then S, Var and, unit by unit, C and its gain. */
static void condition(appraisal *self, int64_t g) {
  esp_schur *schur = &self->schur;
  const int n = esp_int(schur->features), w = esp_int(self->width);
  double *y = esp_schur_next_y(schur);
  explain(self, g, self->chosen);
  esp_schur_fetch(schur, g, self->columns);
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, n, w, w, 1, self->columns, n, self->t, w, 0,
              y, n);
  for (int64_t j = 0; j < self->outputs; j++) self->variance[j] -= self->share[j];
  update_inverses(self);
  for (int64_t u = 0; u < self->units; u++) {
    if (schur->gone[u] || u == g) continue;
    const double *rows = y + schur->slot[u] * w;
    update_cross(self, u, rows);
    esp_block_subtract(w, 0.5, rows, rows, n, self->blocks + u * w * w);
    appraise(self, u);
  }
  esp_schur_remove(schur, g);
}

/* The same where the map stays: S does not change, C and Var are those of the error. */
static void condition_as_it_stands(appraisal *self, int64_t g) {
  const int64_t outputs = self->outputs;
  explain_as_it_stands(self, g);
  esp_schur_fetch(&self->schur, g, self->columns);
  for (int64_t j = 0; j < outputs; j++) self->variance[j] -= self->share[j];
  update_inverses(self);
  self->schur.gone[g] = true;
  for (int64_t u = 0; u < self->units; u++) {
    if (self->schur.gone[u]) continue;
    for (int64_t j = 0; j < outputs; j++)
      self->cross[u * outputs + j] -= self->columns[u] * self->fixed[g * outputs + j];
    appraise(self, u);
  }
}

void appraisal_choose(appraisal *self, int64_t g) {
  if (self->fixed)
    condition_as_it_stands(self, g);
  else
    condition(self, g);
}

/* S, C and, where the map is not refitted, M^T; the diagonal blocks, and a unit's columns. */
static double part_bytes(const esp_criterion_shape *shape) {
  const double w = (double)shape->width, f = (double)shape->units * w;
  const double maps = shape->is_fixed && shape->width == 1 ? 2.0 : 1.0;
  return esp_schur_bytes(shape->units, shape->width, false, 1) +
         sizeof(double) * f * (maps * (double)shape->outputs + 2.0 * w);
}

/* 2 F^2 P operations for C and F^3 / 3 for S; at each step C and the gains of the units that are
 * left: w (3 w + 5) P a unit. */
void appraisal_add_cost(const esp_criterion_shape *shape, esp_cost *cost) {
  const double w = (double)shape->width, f = (double)shape->units * w;
  const double p = (double)shape->outputs;
  esp_cost_hold(cost, part_bytes(shape));
  esp_cost_touch(cost, sizeof(double) * 2.0 * f * PANEL);
  cost->work.serial += f * f * (f / 3.0 + p * (2.0 + (3.0 + 5.0 / w) / 2.0));
}
