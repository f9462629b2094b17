#include "schur.h"

#include "downdate.h"

#include "espalier/core/memory.h"

#include <cblas.h>
#include <string.h>

enum { LEAST_BLOCK = 64 };

static int64_t count_pending(int64_t width) {
  return width > LEAST_BLOCK ? width : LEAST_BLOCK;
}

double esp_schur_bytes(int64_t units, int64_t width, bool has_twin, int ranks) {
  const int64_t features = units * width, pending = (has_twin ? 2 : 1) * count_pending(width);
  return block_columns_bytes(features, ranks) + sizeof(double) * (double)((features + 1) * pending);
}

void esp_schur_init(esp_schur *self, const esp_comm *team, int64_t units, int64_t width,
                    bool has_twin) {
  const int64_t features = units * width, block = count_pending(width);
  *self = (esp_schur){.width = width,
                      .units = units,
                      .slots = units,
                      .features = features,
                      .stride = features + 1,
                      .slot = ESP_NEW(int64_t, units),
                      .gone = ESP_NEW(bool, units),
                      .y = ESP_NEW(double, (features + 1) * block),
                      .v = has_twin ? ESP_NEW(double, (features + 1) * block) : NULL,
                      .block = block};
  for (int64_t u = 0; u < units; u++) self->slot[u] = u;
  block_columns_init(&self->stored, team, features);
}

void esp_schur_clear(esp_schur *self) {
  esp_free(&self->slot);
  esp_free(&self->gone);
  esp_free(&self->y);
  esp_free(&self->v);
  block_columns_clear(&self->stored);
}

double *esp_schur_lower(const esp_schur *self) {
  ESP_ASSERT(team_size_local(self->stored.team) == 1 && self->features + 1 == self->stride);
  return self->stored.stored + 1;
}

double *esp_schur_next_y(const esp_schur *self) {
  return self->y + self->pending * self->features;
}
double *esp_schur_next_v(const esp_schur *self) {
  return self->v + self->pending * self->features;
}

/* What is here of column c of A (is_lower) or Q: half of it lies in the stored column, half in the
 * stored row. */
static void gather(const esp_schur *self, int64_t c, bool is_lower, double *column) {
  const block_columns *stored = &self->stored;
  const int64_t from = is_lower ? c : 0, to = is_lower ? self->features : c + 1;
  for (int64_t b = 0; b < stored->n; b++) {
    const double *at = is_lower ? block_columns_lower(stored, b) : block_columns_upper(stored, b);
    for (int64_t j = stored->begin[b]; at && j < stored->begin[b + 1]; j++, at += stored->stride)
      if (j == c)
        memcpy(column + from, at + from, (size_t)(to - from) * sizeof *column);
      else if ((j < c) == is_lower)
        column[j] = at[c];
  }
}

/* column -= left (right row c)^T over the pending columns. */
static void subtract(const esp_schur *self, const double *left, const double *right, int64_t c,
                     double *column) {
  if (self->pending == 0) return;
  const int n = esp_int(self->features);
  cblas_dgemv(CblasColMajor, CblasNoTrans, n, esp_int(self->pending), -1, left, n, right + c, n, 1,
              column, 1);
}

/* The ranks' parts put together: places that another rank has are 0 before. */
static void gather_all(const esp_schur *self, int64_t first, double *columns) {
  const int64_t n = self->features, w = self->width, count = (self->v ? 2 : 1) * w * n;
  if (team_size_local(self->stored.team) > 1) memset(columns, 0, (size_t)count * sizeof *columns);
  for (int64_t k = 0; k < w; k++) gather(self, first + k, true, columns + k * n);
  for (int64_t k = 0; k < w && self->v; k++) gather(self, first + k, false, columns + (w + k) * n);
  team_gather(self->stored.team, columns, count);
}

void esp_schur_fetch(const esp_schur *self, int64_t unit, double *columns) {
  const int64_t w = self->width, first = self->slot[unit] * w;
  gather_all(self, first, columns);
  if (team_rank_local(self->stored.team) > 0) return;
  for (int64_t k = 0; k < w; k++) {
    double *column = columns + k * self->features, *twin = column + w * self->features;
    subtract(self, self->y, self->y, first + k, column);
    if (!self->v) continue;
    subtract(self, self->y, self->v, first + k, twin);
    subtract(self, self->v, self->y, first + k, twin);
  }
}

static void flush(esp_schur *self) {
  const thin pending = {self->features, self->pending, self->features, -1, self->y, self->v};
  if (self->v)
    esp_add_twins(&pending, &self->stored);
  else
    esp_add_square_lower(&pending, &self->stored);
  self->pending = 0;
}

/* Column kept[to] of a block becomes column `to`, row kept[i] row i; both only move towards the
 * origin. */
static void squeeze_block(const esp_schur *self, int64_t block, const int64_t *kept, int64_t n,
                          int64_t to) {
  const block_columns *stored = &self->stored;
  const int64_t stride = self->stride, begin = stored->begin[block], end = stored->begin[block + 1];
  double *lower = block_columns_lower(stored, block), *upper = block_columns_upper(stored, block);
  for (; lower && to < n && kept[to] < end; to++, lower += stride, upper += stride) {
    const int64_t ahead =
        (kept[to] - begin) * stride - (lower - block_columns_lower(stored, block));
    for (int64_t i = 0; self->v && i <= to; i++) upper[i] = upper[kept[i] + ahead];
    for (int64_t i = to; i < n; i++) lower[i] = lower[kept[i] + ahead];
  }
}

/* Blocks stay where they are, and have fewer columns. */
static void squeeze_blocks(esp_schur *self, const int64_t *kept, int64_t n) {
  int64_t *begin = ESP_NEW(int64_t, self->stored.n + 1), to = 0;
  for (int64_t b = 0; b <= self->stored.n; b++) {
    while (to < n && kept[to] < self->stored.begin[b]) to++;
    begin[b] = to;
  }
  for (int64_t b = 0; b < self->stored.n; b++) squeeze_block(self, b, kept, n, begin[b]);
  memcpy(self->stored.begin, begin, (size_t)(self->stored.n + 1) * sizeof *begin);
  esp_free(&begin);
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
  squeeze_blocks(self, kept, n);
  self->features = n;
  self->slots = n / self->width;
  esp_free(&kept);
}

static int64_t count_gone(const esp_schur *self) {
  int64_t gone = 0;
  for (int64_t u = 0; u < self->units; u++) gone += self->gone[u] && self->slot[u] >= 0;
  return gone;
}

/* No room for another unit's columns. */
static bool is_full(int64_t pending, int64_t width) {
  return pending + width > count_pending(width);
}

static bool is_sparse(int64_t gone, int64_t slots) {
  return gone * 8 >= slots;
}

void esp_schur_remove(esp_schur *self, int64_t unit) {
  self->gone[unit] = true;
  self->pending += self->width;
  if (!is_full(self->pending, self->width)) return;
  flush(self);
  if (is_sparse(count_gone(self), self->slots)) squeeze(self);
}

double esp_schur_fetched(int64_t units, int64_t width) {
  double sum = 0;
  for (int64_t left = units, slots = units, pending = 0; left > 1; left--) {
    sum += (double)(slots * width);
    pending += width;
    if (!is_full(pending, width)) continue;
    pending = 0;
    if (is_sparse(slots - left + 1, slots)) slots = left - 1;
  }
  return sum;
}
