/* The correction dW of a consumer's weights W0: with moments XX, XT (about the mean where there is
 * a bias) (XX + ridge mean(diag XX) I) dW^T = XT - XX W0^T, and W = W0 + step dW. Ridge and step
 * are those with the least error on held-out sums, for which, with R = XT - XX W0^T of the held-out
 * part, E(step) = E(0) - 2 step <dW, R^T> + step^2 <dW, (XX dW^T)^T>. docs/method/repair.md
 * (ours). */
#include "surgery_internal.h"

#include "espalier/core/memory.h"
#include "espalier/linalg/gemm.h"
#include "espalier/linalg/solve.h"

/* Moments of one part as dense float matrices, divided by the number of samples. */
typedef struct moments {
  int64_t n_in, n_out;
  float *xx;     // (n_in, n_in)
  float *rest;   // (n_in, n_out): XT - XX W0^T
  double left;   // mean square of t - W0 x (about its mean with a bias), summed over outputs
  double target; // mean square of t, likewise
  double mean_diagonal;
} moments;

static double centred(const esp_exact *sum, int64_t i, int64_t j, const double *a, const double *b,
                      double n) {
  return esp_exact_get(sum, i, j) / n - (a ? a[i] * b[j] : 0.0);
}

static double *compute_means(const esp_exact *sum, double n) {
  double *mean = ESP_NEW(double, sum->rows);
  for (int64_t i = 0; i < sum->rows; i++) mean[i] = esp_exact_get(sum, i, 0) / n;
  return mean;
}

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
  for (int64_t j = 0; j < self->n_out; j++) // -<W0, XT>; the other half follows once rest is known
    for (int64_t i = 0; i < self->n_in; i++)
      self->left -= (double)start[j * self->n_in + i] * self->rest[i * self->n_out + j];
  esp_free(&x);
  esp_free(&t);
}

/* c (n_in, n_out) = beta c + alpha XX w^T. */
static void multiply(const moments *self, const float *w, float alpha, float beta, float *c) {
  esp_gemm_compute(&(esp_gemm){.transpose_b = true,
                               .m = self->n_in,
                               .n = self->n_out,
                               .k = self->n_in,
                               .alpha = alpha,
                               .beta = beta,
                               .a = self->xx,
                               .lda = self->n_in,
                               .b = w,
                               .ldb = self->n_in,
                               .c = c,
                               .ldc = self->n_out});
}

/* <w, c^T> for w (n_out, n_in), c (n_in, n_out). */
static double inner(const moments *self, const float *w, const float *c) {
  double sum = 0.0;
  for (int64_t j = 0; j < self->n_out; j++)
    for (int64_t i = 0; i < self->n_in; i++)
      sum += (double)w[j * self->n_in + i] * c[i * self->n_out + j];
  return sum;
}

static void moments_init(moments *self, const regression *part, const correction_problem *problem) {
  *self = (moments){.n_in = part->n_in,
                    .n_out = part->n_out,
                    .xx = ESP_NEW(float, part->n_in * part->n_in),
                    .rest = ESP_NEW(float, part->n_in * part->n_out)};
  read_sums(self, part, problem->has_bias, problem->start);
  multiply(self, problem->start, -1.0f, 1.0f, self->rest);
  self->left -= inner(self, problem->start, self->rest);
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

/* dW (n_out, n_in). Collective. */
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
  for (int64_t i = 0; i < self->n_in && status == ESP_OK; i++)
    for (int64_t j = 0; j < self->n_out; j++)
      correction[j * self->n_in + i] = (float)x[i * self->n_out + j];
  esp_free(&x);
  return status;
}

static void try_steps(const moments *held_out, const float *correction, double ridge,
                      correction_choice *choice) {
  static const double steps[] = {1.0, 0.7, 0.4};
  float *product = ESP_NEW(float, held_out->n_in * held_out->n_out);
  multiply(held_out, correction, 1.0f, 0.0f, product);
  const double slope = inner(held_out, correction, held_out->rest);
  const double curvature = inner(held_out, correction, product);
  for (unsigned s = 0; s < sizeof steps / sizeof *steps; s++) {
    const double error = held_out->left - 2.0 * steps[s] * slope + steps[s] * steps[s] * curvature;
    if (error / held_out->target < choice->error_after) {
      choice->ridge = ridge;
      choice->step = steps[s];
      choice->error_after = error / held_out->target;
    }
  }
  esp_free(&product);
}

static esp_status try_ridges(const correction_problem *problem, const moments *fit,
                             const moments *held_out, correction_choice *choice) {
  static const double ridges[CORRECTION_RIDGES] = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0};
  float *correction = ESP_NEW(float, fit->n_in * fit->n_out);
  esp_status status = ESP_OK;
  for (int r = 0; r < CORRECTION_RIDGES && status == ESP_OK; r++) {
    status = solve(problem->comm, fit, ridges[r], correction);
    if (status == ESP_OK) try_steps(held_out, correction, ridges[r], choice);
    if (status == ESP_NUMERIC)
      status = ESP_OK; // a ridge below the moments' rounding is no candidate
  }
  esp_free(&correction);
  return status;
}

esp_status correction_choose(const correction_problem *problem, correction_choice *choice) {
  moments fit, held_out;
  moments_init(&fit, problem->fit, problem);
  moments_init(&held_out, problem->held_out, problem);
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

esp_status correction_apply(const correction_problem *problem, correction_choice *choice,
                            float *weights) {
  const int64_t n = problem->fit->n_in * problem->fit->n_out;
  for (int64_t i = 0; i < n; i++) weights[i] = problem->start[i];
  if (choice->ridge <= 0.0) return ESP_OK;
  moments fit;
  float *correction = ESP_NEW(float, n);
  moments_init(&fit, problem->fit, problem);
  const esp_status status = solve(problem->comm, &fit, choice->ridge, correction);
  if (status == ESP_NUMERIC) drop_correction(choice);
  for (int64_t i = 0; i < n && status == ESP_OK; i++)
    weights[i] += (float)choice->step * correction[i];
  moments_clear(&fit);
  esp_free(&correction);
  return status == ESP_NUMERIC ? ESP_OK : status;
}
