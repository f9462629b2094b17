/* Forward selection under the Gaussian model (gaussian.h): take next the unit with the largest
 * gain of sum_j I(x_K; y_j) = -1/2 sum_j log(Var(y_j | x_K) / Var(y_j)).
 *
 * A pivoted Cholesky of S = G + D carries C = Cov(x, y | x_K) (F, P) and Var(y_j | x_K) along. With
 * T whitening S_gg, Y = S_:g T^T and Z = T C_g, choosing g means
 * - S -= Y Y^T, C -= Y Z, Var_j -= sum_a Z_aj^2
 * - gain_g = -1/2 sum_j log(1 - sum_a Z_aj^2 / Var_j)
 *
 * O(F (F + P)) a unit; 8 F (F + 1 + P) bytes. output_scale cancels, but for a zero, which drops the
 * output. */
#include "block.h"
#include "check.h"
#include "criteria.h"
#include "gaussian.h"
#include "schur.h"

#include "espalier/core/memory.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <string.h>

enum { PANEL = 256, LANES = 8, FACTORS = 16 };

/* What is left of a variance below this part of the first counts as explained. */
static const double EXPLAINED = 1e-12;
/* Gains below this part of the largest first gain are rounding, hence ties. */
static const double NOISE = 1e-13;

typedef struct selection {
  const esp_gaussian *gaussian;
  int64_t units, width, outputs;
  esp_schur schur;  // S
  double *blocks;   // (U, w, w) current diagonal blocks of S
  double *floor;    // (F) of their pivots
  double *cross;    // (F, P) C
  double *variance; // (P)
  double *least;    // (P) below which an output is explained
  double *inverse;  // (P) of variance, 0 once explained
  double *gain;     // (U), -1 for a dead unit: it comes after all others
  double *columns;  // (stride, w)
  double *t;        // (w, w)
  double *chosen;   // (w, P) Z of the unit last chosen
  double *z;        // (w, P) of the unit being appraised
  double *share;    // (P) sum_a Z_aj^2
  double noise;
} selection;

static void init(selection *self, const esp_gaussian *gaussian) {
  const esp_evidence *evidence = gaussian->evidence;
  const int64_t units = evidence->units, w = evidence->width, outputs = evidence->outputs;
  *self = (selection){.gaussian = gaussian,
                      .units = units,
                      .width = w,
                      .outputs = outputs,
                      .blocks = ESP_NEW(double, units *w *w),
                      .floor = ESP_NEW(double, units *w),
                      .cross = ESP_NEW(double, units *w *outputs),
                      .variance = ESP_NEW(double, outputs),
                      .least = ESP_NEW(double, outputs),
                      .inverse = ESP_NEW(double, outputs),
                      .gain = ESP_NEW(double, units),
                      .columns = ESP_NEW(double, (units * w + 1) * w),
                      .t = ESP_NEW(double, w *w),
                      .chosen = ESP_NEW(double, w *outputs),
                      .z = ESP_NEW(double, w *outputs),
                      .share = ESP_NEW(double, outputs)};
  esp_schur_init(&self->schur, units, w, false);
}

static void clear(selection *self) {
  double **arrays[] = {&self->blocks, &self->floor,   &self->cross, &self->variance,
                       &self->least,  &self->inverse, &self->gain,  &self->columns,
                       &self->t,      &self->chosen,  &self->z,     &self->share};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) esp_free(arrays[i]);
  esp_schur_clear(&self->schur);
}

static void copy_blocks(selection *self) {
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
static void compute_cross_panel(selection *self, int64_t first, int64_t count, double *rows) {
  const int64_t n = self->schur.features, outputs = self->outputs;
  double *transposed = rows + PANEL * n;
  esp_gaussian_write_map(self->gaussian, first, count, rows);
  for (int64_t f = 0; f < n; f++)
    for (int64_t j = 0; j < count; j++)
      self->cross[f * outputs + first + j] = transposed[f * count + j] = rows[j * n + f];
  cblas_dsymm(CblasColMajor, CblasRight, CblasLower, esp_int(count), esp_int(n), 1,
              esp_schur_lower(&self->schur), esp_int(self->schur.stride), transposed,
              esp_int(count), -self->gaussian->ridge, self->cross + first, esp_int(outputs));
  for (int64_t j = 0; j < count; j++)
    self->variance[first + j] =
        cblas_ddot(esp_int(n), rows + j * n, 1, self->cross + first + j, esp_int(outputs));
}

static void compute_cross(selection *self) {
  double *rows = ESP_NEW(double, 2 * PANEL * self->schur.features);
  for (int64_t j = 0; j < self->outputs; j += PANEL)
    compute_cross_panel(self, j, self->outputs - j < PANEL ? self->outputs - j : PANEL, rows);
  for (int64_t j = 0; j < self->outputs; j++) self->least[j] = EXPLAINED * self->variance[j];
  esp_free(&rows);
}

static void update_inverses(selection *self) {
  for (int64_t j = 0; j < self->outputs; j++) {
    const double variance = self->variance[j];
    self->inverse[j] = variance > 0 && variance > self->least[j] ? 1 / variance : 0;
  }
}

/* z = T C_g (w, P), share_j = sum_a Z_aj^2. */
static void explain(selection *self, int64_t unit, double *z) {
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

static void appraise(selection *self, int64_t unit) {
  self->gain[unit] = -1;
  if (esp_gaussian_is_dead(self->gaussian, unit)) return;
  explain(self, unit, self->z);
  self->gain[unit] = fmax(0, -0.5 * sum_logarithms(self->outputs, self->share, self->inverse));
}

static void prepare(selection *self) {
  esp_gaussian_write_covariance(self->gaussian, esp_schur_lower(&self->schur), self->schur.stride);
  copy_blocks(self);
  compute_cross(self);
  update_inverses(self);
  double largest = 0;
  for (int64_t u = 0; u < self->units; u++) {
    appraise(self, u);
    largest = fmax(largest, self->gain[u]);
  }
  self->noise = NOISE * largest;
}

/* The largest gain; the lowest index among ties. */
static int64_t pick(const selection *self) {
  double largest = -1;
  for (int64_t u = 0; u < self->units; u++)
    if (!self->schur.gone[u]) largest = fmax(largest, self->gain[u]);
  const double bound = largest < 0 ? -1 : fmax(0, largest * (1 - ESP_TIE) - self->noise);
  for (int64_t u = 0; u < self->units; u++)
    if (!self->schur.gone[u] && self->gain[u] >= bound) return u;
  esp_panic(__FILE__, __LINE__, "no unit left to choose");
}

/* C_u -= Y_u Z. */
static void update_cross(selection *self, int64_t unit, const double *y) {
  for (int64_t k = 0; k < self->width; k++)
    for (int64_t a = 0; a < self->width; a++) {
      double *cross = self->cross + (unit * self->width + k) * self->outputs;
      const double *z = self->chosen + a * self->outputs, factor = y[k + a * self->schur.stride];
      for (int64_t j = 0; j < self->outputs; j++) cross[j] -= factor * z[j];
    }
}

/* Condition on unit g: Y and Z, then S, Var and, unit by unit, C and its gain. */
static void choose(selection *self, int64_t g) {
  esp_schur *schur = &self->schur;
  const int n = esp_int(schur->features), w = esp_int(self->width), ld = esp_int(schur->stride);
  double *y = esp_schur_next_y(schur);
  explain(self, g, self->chosen);
  esp_schur_fetch(schur, g, self->columns);
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, n, w, w, 1, self->columns, ld, self->t, w, 0,
              y, ld);
  for (int64_t j = 0; j < self->outputs; j++) self->variance[j] -= self->share[j];
  update_inverses(self);
  for (int64_t u = 0; u < self->units; u++) {
    if (schur->gone[u] || u == g) continue;
    const double *rows = y + schur->slot[u] * w;
    update_cross(self, u, rows);
    esp_block_subtract(w, 0.5, rows, rows, ld, self->blocks + u * w * w);
    appraise(self, u);
  }
  esp_schur_remove(schur, g);
}

/* A unit's score is its gain when chosen, or the least before it if that is less. */
static void run(selection *self, int64_t *order, double *score) {
  double least = INFINITY;
  prepare(self);
  for (int64_t k = 0; k < self->units; k++) {
    order[k] = pick(self);
    least = fmin(least, fmax(0, self->gain[order[k]]));
    score[order[k]] = least;
    if (k + 1 < self->units) choose(self, order[k]);
  }
}

static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) {
  esp_gaussian gaussian;
  ESP_TRY(esp_gaussian_init(&gaussian, evidence));
  selection state;
  init(&state, &gaussian);
  if (evidence->units > 0) run(&state, order, score);
  clear(&state);
  esp_gaussian_clear(&gaussian);
  return esp_check_doubles(evidence->site, "gain", score, evidence->units);
}

const esp_criterion esp_criterion_set_mi_forward = {
    .name = "set-mi-forward",
    .summary = "information of the kept set about all preserved units, by forward selection",
    .needs = ESP_NEEDS_COVARIANCE | ESP_NEEDS_MAP,
    .is_greedy = true,
    .rank = rank};
