/* The correction dW of a consumer's weights W0: with moments XX, XT (about the mean where there is
 * a bias) (XX + ridge mean(diag XX) I) dW^T = XT - XX W0^T, and W = W0 + step dW. Ridge and step
 * are those with the least error on held-out sums, for which, with R = XT - XX W0^T of the held-out
 * part, E(step) = E(0) - 2 step <dW, R^T> + step^2 <dW, (XX dW^T)^T>. docs/method/repair.md
 * (ours). */
#include "deal.h"
#include "surgery_internal.h"

#include "espalier/core/memory.h"
#include "espalier/linalg/gemm.h"
#include "espalier/linalg/solve.h"

#include <string.h>

/* Moments of one part as dense float matrices, divided by the number of samples. */
typedef struct moments {
  int64_t n_in, n_out;
  float *xx;     // (n_in, n_in)
  float *rest;   // (n_in, n_out): XT - XX W0^T
  double left;   // mean square of t - W0 x (about its mean with a bias), summed over outputs
  double target; // mean square of t, likewise
  double mean_diagonal;
} moments;

/* <a, b>, of n elements. */
static double inner(const float *a, const float *b, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
  return sum;
}

static double centred(const esp_exact *sum, int64_t i, int64_t j, const double *a, const double *b,
                      double n) {
  return esp_exact_get(sum, i, j) / n - (a ? a[i] * b[j] : 0.0);
}

static double *compute_means(const esp_exact *sum, double n) {
  double *mean = ESP_NEW(double, sum->rows);
  for (int64_t i = 0; i < sum->rows; i++) mean[i] = esp_exact_get(sum, i, 0) / n;
  return mean;
}

/* Sums become moments; start (n_in, n_out). */
static void read_sums(moments *self, const regression *part, bool has_bias, const float *start) {
  const double n = regression_weight(part);
  double *x = has_bias ? compute_means(&part->x, n) : NULL;
  double *t = has_bias ? compute_means(&part->t, n) : NULL;
  for (int64_t i = 0; i < self->n_in; i++) {
    for (int64_t j = 0; j < self->n_in; j++)
      self->xx[i * self->n_in + j] = (float)centred(&part->xx, i, j, x, x, n);
    for (int64_t j = 0; j < self->n_out; j++)
      self->rest[i * self->n_out + j] = (float)centred(&part->xt, i, j, x, t, n);
    self->mean_diagonal += self->xx[i * self->n_in + i] / (double)self->n_in;
  }
  for (int64_t j = 0; j < self->n_out; j++)
    self->target += esp_exact_get(&part->tt, j, 0) / n - (t ? t[j] * t[j] : 0.0);
  self->left = self->target;
  // -<W0, XT>; the other half follows once rest is known
  self->left -= inner(start, self->rest, self->n_in * self->n_out);
  esp_free(&x);
  esp_free(&t);
}

/* Rows [begin, begin + count) of c += alpha XX w, w (n_in, n_out). */
static void multiply_rows(const moments *self, const float *w, float alpha, int64_t begin,
                          int64_t count, float *c) {
  esp_gemm_compute(&(esp_gemm){.m = count,
                               .n = self->n_out,
                               .k = self->n_in,
                               .alpha = alpha,
                               .beta = 1.0f,
                               .a = self->xx + begin * self->n_in,
                               .lda = self->n_in,
                               .b = w,
                               .ldb = self->n_out,
                               .c = c,
                               .ldc = self->n_out});
}

/* A matrix (n_in, n_out) that the moments are multiplied by. */
typedef struct dealt_product {
  moments *moments;
  const float *w;
  double *slopes, *curvatures; // (blocks): <w, rest>, <w, XX w>
  float *scratch;              // (DEAL_ROWS, n_out)
} dealt_product;

static void subtract_block(void *context, int64_t begin, int64_t count) {
  const dealt_product *self = context;
  moments *into = self->moments;
  multiply_rows(into, self->w, -1.0f, begin, count, into->rest + begin * into->n_out);
}

static void moments_init(moments *self, const regression *part, const correction_problem *problem,
                         const float *start) {
  *self = (moments){.n_in = part->n_in,
                    .n_out = part->n_out,
                    .xx = ESP_NEW(float, part->n_in * part->n_in),
                    .rest = ESP_NEW(float, part->n_in * part->n_out)};
  dealt_product product = {.moments = self, .w = start};
  read_sums(self, part, problem->has_bias, start);
  deal_run_local(problem->comm, self->n_in, subtract_block, &product);
  deal_gather_rows(problem->comm, self->n_in, self->n_out, self->rest);
  self->left -= inner(start, self->rest, self->n_in * self->n_out);
}

static void moments_clear(moments *self) {
  esp_free(&self->xx);
  esp_free(&self->rest);
}

static double gram(const void *context, int64_t i, int64_t j) {
  const moments *self = context;
  return self->xx[i * self->n_in + j];
}

static double rhs(const void *context, int64_t i, int64_t j) {
  const moments *self = context;
  return self->rest[i * self->n_out + j];
}

/* dW^T (n_in, n_out). Collective. */
static esp_status solve(const esp_comm *comm, const moments *self, double ridge,
                        float *correction) {
  double *x = ESP_NEW(double, self->n_in * self->n_out);
  const double scale = self->mean_diagonal > 0.0 ? self->mean_diagonal : 1.0;
  const esp_spd_problem problem = {.n = self->n_in,
                                   .n_rhs = self->n_out,
                                   .ridge = ridge * scale,
                                   .gram = gram,
                                   .rhs = rhs,
                                   .context = self};
  const esp_status status = esp_solve_spd(comm, &problem, x);
  for (int64_t i = 0; i < self->n_in * self->n_out && status == ESP_OK; i++)
    correction[i] = (float)x[i];
  esp_free(&x);
  return status;
}

static void measure_block(void *context, int64_t begin, int64_t count) {
  const dealt_product *self = context;
  const moments *held_out = self->moments;
  const int64_t n = count * held_out->n_out, at = begin * held_out->n_out;
  memset(self->scratch, 0, (size_t)n * sizeof *self->scratch);
  multiply_rows(held_out, self->w, 1.0f, begin, count, self->scratch);
  self->slopes[begin / DEAL_ROWS] = inner(self->w + at, held_out->rest + at, n);
  self->curvatures[begin / DEAL_ROWS] = inner(self->w + at, self->scratch, n);
}

/* The error of a step is a parabola. */
typedef struct parabola {
  double slope, curvature;
} parabola;

/* Collective. */
static parabola measure(const esp_comm *comm, moments *held_out, const float *correction) {
  const int64_t n = deal_count_blocks(held_out->n_in);
  const dealt_product product = {.moments = held_out,
                                 .w = correction,
                                 .slopes = ESP_NEW(double, n),
                                 .curvatures = ESP_NEW(double, n),
                                 .scratch = ESP_NEW(float, DEAL_ROWS * held_out->n_out)};
  deal_run_local(comm, held_out->n_in, measure_block, (void *)(uintptr_t)&product);
  const double slope = deal_sum(comm, held_out->n_in, product.slopes);
  const double curvature = deal_sum(comm, held_out->n_in, product.curvatures);
  esp_release(product.slopes);
  esp_release(product.curvatures);
  esp_release(product.scratch);
  return (parabola){slope, curvature};
}

static void try_steps(const moments *held_out, parabola at, double ridge,
                      correction_choice *choice) {
  static const double steps[] = {1.0, 0.7, 0.4};
  for (unsigned s = 0; s < sizeof steps / sizeof *steps; s++) {
    const double error =
        held_out->left - 2.0 * steps[s] * at.slope + steps[s] * steps[s] * at.curvature;
    if (error / held_out->target < choice->error_after) {
      choice->ridge = ridge;
      choice->step = steps[s];
      choice->error_after = error / held_out->target;
    }
  }
}

static esp_status try_ridges(const correction_problem *problem, const moments *fit,
                             moments *held_out, correction_choice *choice) {
  static const double ridges[CORRECTION_RIDGES] = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0};
  float *correction = ESP_NEW(float, fit->n_in * fit->n_out);
  esp_status status = ESP_OK;
  for (int r = 0; r < CORRECTION_RIDGES && status == ESP_OK; r++) {
    status = solve(problem->comm, fit, ridges[r], correction);
    if (status == ESP_OK)
      try_steps(held_out, measure(problem->comm, held_out, correction), ridges[r], choice);
    if (status == ESP_NUMERIC)
      status = ESP_OK; // a ridge below the moments' rounding is no candidate
  }
  esp_free(&correction);
  return status;
}

/* W0^T (n_in, n_out). */
static float *transpose_start(const correction_problem *problem) {
  const int64_t n_in = problem->fit->n_in, n_out = problem->fit->n_out;
  float *start = ESP_NEW(float, n_in *n_out);
  for (int64_t j = 0; j < n_out; j++)
    for (int64_t i = 0; i < n_in; i++) start[i * n_out + j] = problem->start[j * n_in + i];
  return start;
}

esp_status correction_choose(const correction_problem *problem, correction_choice *choice) {
  moments fit, held_out;
  float *start = transpose_start(problem);
  moments_init(&fit, problem->fit, problem, start);
  moments_init(&held_out, problem->held_out, problem, start);
  esp_free(&start);
  if (!(held_out.target > 0.0)) held_out.target = 1.0;
  const double before = held_out.left / held_out.target;
  *choice = (correction_choice){.error_before = before, .error_after = before};
  const esp_status status = try_ridges(problem, &fit, &held_out, choice);
  moments_clear(&fit);
  moments_clear(&held_out);
  return status;
}

static void drop_correction(correction_choice *choice) {
  choice->ridge = choice->step = 0.0;
  choice->error_after = choice->error_before;
}

/* Collective. */
static esp_status correct(const correction_problem *problem, const correction_choice *choice,
                          float *weights) {
  const int64_t n_in = problem->fit->n_in, n_out = problem->fit->n_out;
  moments fit;
  float *start = transpose_start(problem);
  moments_init(&fit, problem->fit, problem, start);
  float *correction = start; // in its place
  const esp_status status = solve(problem->comm, &fit, choice->ridge, correction);
  for (int64_t j = 0; j < n_out && status == ESP_OK; j++)
    for (int64_t i = 0; i < n_in; i++)
      weights[j * n_in + i] += (float)choice->step * correction[i * n_out + j];
  moments_clear(&fit);
  esp_free(&start);
  return status;
}

esp_status correction_apply(const correction_problem *problem, correction_choice *choice,
                            float *weights) {
  const size_t bytes = (size_t)(problem->fit->n_in * problem->fit->n_out) * sizeof *weights;
  memcpy(weights, problem->start, bytes);
  if (choice->ridge <= 0.0) return ESP_OK;
  const esp_status status = correct(problem, choice, weights);
  if (status == ESP_NUMERIC) drop_correction(choice);
  return status == ESP_NUMERIC ? ESP_OK : status;
}
