/* Random problems and plain versions of the set-wise criteria, for tests/unit/set_mi*.c. */
#ifndef ESPALIER_TESTS_SET_MI_PLAIN_H
#define ESPALIER_TESTS_SET_MI_PLAIN_H

#include "ranking.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static inline void assert_order(const int64_t *order, const int64_t *want, int64_t n) {
  for (int64_t k = 0; k < n; k++) assert_int_equal(order[k], want[k]);
}

static inline void assert_close(const double *score, const double *want, int64_t n,
                                double tolerance) {
  for (int64_t u = 0; u < n; u++)
    if (!(fabs(score[u] - want[u]) <= tolerance * (fabs(want[u]) + 1e-9)))
      fail_msg("unit %d: score %.12g, expected %.12g", (int)u, score[u], want[u]);
}

/* Random problems, owned. */
typedef struct problem {
  esp_evidence evidence;
  double *covariance, *scale;
  float *map;
} problem;

static inline double *make_covariance(int64_t n, uint64_t seed) {
  const int64_t samples = 2 * n + 5;
  double *x = ESP_NEW(double, samples *n), *covariance = ESP_NEW(double, n *n);
  for (int64_t s = 0; s < samples; s++)
    for (int64_t f = 0; f < n; f++)
      x[s * n + f] = esp_rng_normal(seed, 1, (uint64_t)(s * n + f)) +
                     (f > 0 ? 0.5 * x[s * n + f - 1] : 0) + (f > 4 ? 0.3 * x[s * n + f - 5] : 0);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++)
      for (int64_t s = 0; s < samples; s++)
        covariance[i * n + j] += x[s * n + i] * x[s * n + j] / (double)samples;
  esp_free(&x);
  return covariance;
}

static inline problem problem_new(int64_t units, int64_t width, int64_t outputs, uint64_t seed) {
  const int64_t n = units * width;
  problem self = {.covariance = make_covariance(n, seed),
                  .scale = ESP_NEW(double, outputs),
                  .map = ESP_NEW(float, outputs *n)};
  for (int64_t i = 0; i < outputs * n; i++)
    self.map[i] = (float)esp_rng_normal(seed, 2, (uint64_t)i);
  for (int64_t j = 0; j < outputs; j++) self.scale[j] = 0.5 + esp_rng_uniform(seed, 3, (uint64_t)j);
  self.evidence = (esp_evidence){.site = "test",
                                 .units = units,
                                 .width = width,
                                 .outputs = outputs,
                                 .covariance = self.covariance,
                                 .map = self.map,
                                 .output_scale = self.scale,
                                 .ridge = 1e-3};
  return self;
}

static inline void problem_clear(problem *self) {
  esp_free(&self->covariance);
  esp_free(&self->scale);
  esp_free(&self->map);
}

/* Copy feature `from` over feature `to`, or clear `to` if from is -1. */
static inline void copy_feature(problem *self, int64_t from, int64_t to) {
  const int64_t n = self->evidence.units * self->evidence.width;
  for (int64_t i = 0; i < n; i++)
    self->covariance[to * n + i] = from < 0 ? 0 : self->covariance[from * n + i];
  for (int64_t i = 0; i < n; i++)
    self->covariance[i * n + to] = from < 0 ? 0 : self->covariance[i * n + from];
  for (int64_t j = 0; from >= 0 && j < self->evidence.outputs; j++)
    self->map[j * n + to] = self->map[j * n + from];
}

/* The plain versions. */

/* Gauss-Jordan inverse in place. */
static inline void invert(int64_t n, double *a) {
  for (int64_t k = 0; k < n; k++) {
    const double pivot = 1 / a[k * n + k];
    a[k * n + k] = 1;
    for (int64_t j = 0; j < n; j++) a[k * n + j] *= pivot;
    for (int64_t i = 0; i < n; i++) {
      if (i == k) continue;
      const double factor = a[i * n + k];
      a[i * n + k] = 0;
      for (int64_t j = 0; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
    }
  }
}

static inline double get_ridge(const esp_evidence *e) {
  const int64_t n = e->units * e->width;
  double trace = 0;
  for (int64_t f = 0; f < n; f++) trace += e->covariance[f * n + f];
  return e->ridge * trace / (double)n;
}

/* C = G M^T (F, P). */
static inline double *make_cross(const esp_evidence *e) {
  const int64_t n = e->units * e->width;
  double *cross = ESP_NEW(double, n * e->outputs);
  for (int64_t f = 0; f < n; f++)
    for (int64_t j = 0; j < e->outputs; j++)
      for (int64_t i = 0; i < n; i++)
        cross[f * e->outputs + j] += e->covariance[f * n + i] * (double)e->map[j * n + i] *
                                     (e->output_scale ? e->output_scale[j] : 1);
  return cross;
}

/* explained_j = C_Kj^T (G_KK + D)^-1 C_Kj for the units marked in kept. */
static inline void explain(const esp_evidence *e, const double *cross, const bool *kept,
                           double *explained) {
  const int64_t n = e->units * e->width, p = e->outputs;
  const double ridge = get_ridge(e);
  int64_t *row = ESP_NEW(int64_t, n), k = 0;
  for (int64_t f = 0; f < n; f++)
    if (kept[f / e->width]) row[k++] = f;
  double *a = ESP_NEW(double, k *k);
  for (int64_t i = 0; i < k * k; i++) a[i] = e->covariance[row[i / k] * n + row[i % k]];
  for (int64_t i = 0; i < k; i++) a[i * k + i] += ridge;
  invert(k, a);
  memset(explained, 0, (size_t)p * sizeof *explained);
  for (int64_t i = 0; i < k * k; i++)
    for (int64_t j = 0; j < p; j++)
      explained[j] += a[i] * cross[row[i / k] * p + j] * cross[row[i % k] * p + j];
  esp_free(&row);
  esp_free(&a);
}

static inline double explain_in_all(const esp_evidence *e, const double *cross, const bool *kept) {
  double *explained = ESP_NEW(double, e->outputs), sum = 0;
  explain(e, cross, kept, explained);
  for (int64_t j = 0; j < e->outputs; j++) sum += explained[j];
  esp_free(&explained);
  return sum;
}

typedef struct plain_state {
  int64_t n, width, outputs;
  double *a, *b, *inverse; // (F, F), (F, P), (w, w)
} plain_state;

/* Invert A_gg into inverse and return tr(B_g^T A_gg^-1 B_g). */
static inline double plain_cost(plain_state *s, int64_t g) {
  const int64_t w = s->width, first = g * w;
  double cost = 0;
  for (int64_t i = 0; i < w * w; i++) s->inverse[i] = s->a[(first + i / w) * s->n + first + i % w];
  invert(w, s->inverse);
  for (int64_t i = 0; i < w * w; i++)
    for (int64_t j = 0; j < s->outputs; j++)
      cost += s->inverse[i] * s->b[(first + i / w) * s->outputs + j] *
              s->b[(first + i % w) * s->outputs + j];
  return cost;
}

/* X -= A_:g A_gg^-1 X_g for X (F, columns), from a copy. */
static inline void plain_downdate(const plain_state *s, const double *a, int64_t g, double *x,
                                  int64_t columns) {
  const int64_t w = s->width, first = g * w;
  double *old = ESP_NEW(double, w *columns);
  memcpy(old, x + first * columns, (size_t)(w * columns) * sizeof *old);
  for (int64_t f = 0; f < s->n; f++)
    for (int64_t i = 0; i < w; i++) {
      double factor = 0;
      for (int64_t k = 0; k < w; k++) factor += a[f * s->n + first + k] * s->inverse[k * w + i];
      for (int64_t j = 0; j < columns; j++) x[f * columns + j] -= factor * old[i * columns + j];
    }
  esp_free(&old);
}

static inline void plain_eliminate(plain_state *s, int64_t g) {
  double *a = ESP_NEW(double, s->n * s->n);
  memcpy(a, s->a, (size_t)(s->n * s->n) * sizeof *a);
  plain_cost(s, g);
  plain_downdate(s, a, g, s->a, s->n);
  plain_downdate(s, a, g, s->b, s->outputs);
  esp_free(&a);
}

static inline plain_state plain_new(const esp_evidence *e) {
  const int64_t n = e->units * e->width;
  plain_state s = {n,
                   e->width,
                   e->outputs,
                   ESP_NEW(double, n *n),
                   ESP_NEW(double, n * e->outputs),
                   ESP_NEW(double, e->width * e->width)};
  double *cross = make_cross(e);
  memcpy(s.a, e->covariance, (size_t)(n * n) * sizeof *s.a);
  for (int64_t f = 0; f < n; f++) s.a[f * n + f] += get_ridge(e);
  invert(n, s.a);
  for (int64_t i = 0; i < n * n; i++)
    for (int64_t j = 0; j < e->outputs; j++)
      s.b[i / n * e->outputs + j] += s.a[i] * cross[i % n * e->outputs + j];
  esp_free(&cross);
  return s;
}

static inline ranking rank_backward_plainly(const esp_evidence *e) {
  ranking result;
  bool gone[MOST_UNITS] = {false};
  double worst = 0;
  plain_state s = plain_new(e);
  for (int64_t k = e->units - 1; k >= 0; k--) {
    double least = INFINITY;
    for (int64_t u = 0; u < e->units; u++) {
      const double cost = gone[u] ? INFINITY : plain_cost(&s, u);
      if (cost < least) result.order[k] = u;
      least = fmin(least, cost);
    }
    worst = fmax(worst, least);
    result.score[result.order[k]] = worst;
    gone[result.order[k]] = true;
    plain_eliminate(&s, result.order[k]);
  }
  esp_free(&s.a);
  esp_free(&s.b);
  esp_free(&s.inverse);
  return result;
}

/* The log objective of a set: -1/2 sum_j log(1 - explained_j / Var(y_j)). */
static inline double compute_log_objective(const esp_evidence *e, const double *cross,
                                           const bool *kept) {
  const int64_t n = e->units * e->width;
  double *explained = ESP_NEW(double, e->outputs), sum = 0;
  explain(e, cross, kept, explained);
  for (int64_t j = 0; j < e->outputs; j++) {
    double variance = 0;
    for (int64_t f = 0; f < n; f++)
      variance += (double)e->map[j * n + f] * cross[f * e->outputs + j] *
                  (e->output_scale ? e->output_scale[j] : 1);
    sum -= 0.5 * log(1 - explained[j] / variance);
  }
  esp_free(&explained);
  return sum;
}

static inline ranking rank_forward_plainly(const esp_evidence *e) {
  ranking result;
  bool kept[MOST_UNITS] = {false};
  double *cross = make_cross(e), base = 0, worst = INFINITY;
  for (int64_t k = 0; k < e->units; k++) {
    double largest = -INFINITY;
    for (int64_t u = 0; u < e->units; u++) {
      if (kept[u]) continue;
      kept[u] = true;
      const double value = compute_log_objective(e, cross, kept);
      kept[u] = false;
      if (value > largest) result.order[k] = u;
      largest = fmax(largest, value);
    }
    worst = fmin(worst, largest - base);
    base = largest;
    result.score[result.order[k]] = worst;
    kept[result.order[k]] = true;
  }
  esp_free(&cross);
  return result;
}

#endif
