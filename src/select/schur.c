#include "schur.h"

#include "downdate.h"

#include "espalier/core/memory.h"

#include <cblas.h>
#include <string.h>

enum { LEAST_BLOCK = 64 };

static int64_t count_pending(int64_t width) {
  return width > LEAST_BLOCK ? width : LEAST_BLOCK;
}

double esp_schur_bytes(int64_t units, int64_t width, bool has_twin) {
  const int64_t features = units * width, pending = (has_twin ? 2 : 1) * count_pending(width);
  return sizeof(double) * (double)(features + 1) * (double)(features + pending);
}

void esp_schur_init(esp_schur *self, int64_t units, int64_t width, bool has_twin) {
  const int64_t features = units * width, block = count_pending(width);
  *self = (esp_schur){.width = width,
                      .units = units,
                      .slots = units,
                      .features = features,
                      .stride = features + 1,
                      .slot = ESP_NEW(int64_t, units),
                      .gone = ESP_NEW(bool, units),
                      .stored = ESP_NEW(double, (features + 1) * features),
                      .y = ESP_NEW(double, (features + 1) * block),
                      .v = has_twin ? ESP_NEW(double, (features + 1) * block) : NULL,
                      .block = block};
  for (int64_t u = 0; u < units; u++) self->slot[u] = u;
}

void esp_schur_clear(esp_schur *self) {
  esp_free(&self->slot);
  esp_free(&self->gone);
  esp_free(&self->stored);
  esp_free(&self->y);
  esp_free(&self->v);
}

double *esp_schur_lower(const esp_schur *self) {
  return self->stored + 1;
}
double *esp_schur_upper(const esp_schur *self) {
  return self->stored;
}
double *esp_schur_next_y(const esp_schur *self) {
  return self->y + self->pending * self->stride;
}
double *esp_schur_next_v(const esp_schur *self) {
  return self->v + self->pending * self->stride;
}

/* Column c of A (is_lower) or Q: half of it lies in the stored column, half in the stored row. */
static void gather(const esp_schur *self, int64_t c, bool is_lower, double *column) {
  const double *matrix = is_lower ? esp_schur_lower(self) : esp_schur_upper(self);
  const int64_t stride = self->stride, n = self->features;
  const int64_t begin = is_lower ? c : 0, end = is_lower ? n : c + 1;
  memcpy(column + begin, matrix + begin + c * stride, (size_t)(end - begin) * sizeof *column);
  for (int64_t j = 0; j < begin; j++) column[j] = matrix[c + j * stride];
  for (int64_t j = end; j < n; j++) column[j] = matrix[c + j * stride];
}

/* column -= left (right row c)^T over the pending columns. */
static void subtract(const esp_schur *self, const double *left, const double *right, int64_t c,
                     double *column) {
  if (self->pending == 0) return;
  cblas_dgemv(CblasColMajor, CblasNoTrans, esp_int(self->features), esp_int(self->pending), -1,
              left, esp_int(self->stride), right + c, esp_int(self->stride), 1, column, 1);
}

void esp_schur_fetch(const esp_schur *self, int64_t unit, double *columns) {
  for (int64_t k = 0; k < self->width; k++) {
    const int64_t c = self->slot[unit] * self->width + k;
    double *column = columns + k * self->stride;
    gather(self, c, true, column);
    subtract(self, self->y, self->y, c, column);
  }
}

void esp_schur_fetch_twin(const esp_schur *self, int64_t unit, double *columns) {
  for (int64_t k = 0; k < self->width; k++) {
    const int64_t c = self->slot[unit] * self->width + k;
    double *column = columns + k * self->stride;
    gather(self, c, false, column);
    subtract(self, self->y, self->v, c, column);
    subtract(self, self->v, self->y, c, column);
  }
}

static void flush(esp_schur *self) {
  const thin pending = {self->features, self->pending, self->stride, -1, self->y, self->v};
  if (self->v)
    esp_add_twins(&pending, esp_schur_lower(self), esp_schur_upper(self), self->stride);
  else
    esp_add_square_lower(&pending, esp_schur_lower(self), self->stride);
  self->pending = 0;
}

/* Column kept[to] becomes column `to`, row kept[i] row i; both only move towards the origin. */
static void squeeze_column(esp_schur *self, const int64_t *kept, int64_t n, int64_t to) {
  const int64_t stride = self->stride, from = kept[to];
  double *lower = esp_schur_lower(self), *upper = esp_schur_upper(self);
  if (self->v)
    for (int64_t i = 0; i <= to; i++) upper[i + to * stride] = upper[kept[i] + from * stride];
  for (int64_t i = to; i < n; i++) lower[i + to * stride] = lower[kept[i] + from * stride];
}

static void squeeze(esp_schur *self) {
  int64_t *kept = ESP_NEW(int64_t, self->features), n = 0;
  for (int64_t u = 0; u < self->units; u++) {
    const int64_t first = self->slot[u] * self->width;
    if (self->gone[u]) self->slot[u] = -1;
    if (self->gone[u]) continue;
    self->slot[u] = n / self->width;
    for (int64_t k = 0; k < self->width; k++) kept[n++] = first + k;
  }
  for (int64_t to = 0; to < n; to++) squeeze_column(self, kept, n, to);
  self->features = n;
  self->slots = n / self->width;
  esp_free(&kept);
}

static int64_t count_gone(const esp_schur *self) {
  int64_t gone = 0;
  for (int64_t u = 0; u < self->units; u++) gone += self->gone[u] && self->slot[u] >= 0;
  return gone;
}

void esp_schur_remove(esp_schur *self, int64_t unit) {
  self->gone[unit] = true;
  self->pending += self->width;
  if (self->pending + self->width <= self->block) return;
  flush(self);
  if (count_gone(self) * 8 >= self->slots) squeeze(self);
}
