#include "gradients.h"

#include "espalier/core/clones.h"
#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

static const float largest = 0x1p16f;     // of one micro-batch
static const float largest_sum = 0x1p22f; // of a step, so that it fits 63 bits

static void init_sum(gradient_sum *self, int64_t n, bool is_floating) {
  *self = (gradient_sum){.group = -1, .n = n, .micro = ESP_NEW(float, n)};
  if (is_floating)
    self->floating = ESP_NEW(float, n);
  else
    self->fixed = ESP_NEW(int64_t, n);
}

void gradients_count(const train_parts *parts, int64_t n[2]) {
  const bool is_shared = parts->model->is_head_tied; // the head adds to the embedding's
  n[0] = 0;
  n[1] = is_shared ? parts->groups[0].n : 0;
  for (int g = is_shared ? 1 : 0; g < parts->n_groups; g++)
    if (parts->groups[g].n > n[0]) n[0] = parts->groups[g].n;
}

int64_t gradients_count_part(const train_parts *parts) {
  int64_t most = 0;
  for (int p = 0; p < parts->n_pieces; p++) {
    const int64_t n =
        parts_own_end(parts, &parts->pieces[p]) - parts_own_begin(parts, &parts->pieces[p]);
    if (n > most && parts->size > 1) most = n;
  }
  return most;
}

void gradients_init(train_gradients *self, const train_parts *parts,
                    const gradients_options *options) {
  int64_t n[2];
  gradients_count(parts, n);
  *self = (train_gradients){.parts = parts,
                            .limit = fminf(largest, largest_sum / (float)options->most),
                            .by_weight = ESP_NEW(float *, parts->model->n_weights),
                            .mean = ESP_NEW(float, parts->n_own),
                            .is_total = options->is_total};
  if (options->is_total && !options->is_floating) self->total = ESP_NEW(int64_t, parts->n_own);
  self->part = ESP_NEW(int64_t, gradients_count_part(parts));
  for (int i = 0; i < 2; i++) init_sum(&self->sums[i], n[i], options->is_floating);
}

void gradients_clear(train_gradients *self) {
  for (int i = 0; i < 2; i++) {
    esp_free(&self->sums[i].micro);
    esp_free(&self->sums[i].fixed);
    esp_free(&self->sums[i].floating);
  }
  esp_free(&self->by_weight);
  esp_free(&self->mean);
  esp_release(self->part);
  esp_free(&self->total);
}

static gradient_sum *find_sum(train_gradients *self, int group) {
  const bool is_shared = group == 0 && self->parts->model->is_head_tied;
  return &self->sums[is_shared ? 1 : 0];
}

static int64_t count_values(const train_gradients *self, const gradient_sum *sum) {
  return sum->is_active ? self->parts->groups[sum->group].n : 0;
}

/* Have backward passes add to a group's micro-batch, or to none. */
static void point(train_gradients *self, int group, float *micro) {
  const train_parts *parts = self->parts;
  for (int w = 0; w < parts->model->n_weights; w++)
    if (parts->trains[w] && parts->model->weights[w].stage + 1 == group)
      self->by_weight[w] = micro ? micro + parts->offset[w] : NULL;
}

void gradients_open_local(train_gradients *self, int group) {
  const int64_t n = self->parts->groups[group].n;
  gradient_sum *sum = find_sum(self, group);
  sum->is_active = n > 0;
  if (n == 0 || sum->group == group) return;
  ESP_ASSERT(sum->group < 0 && n <= sum->n);
  sum->group = group;
  sum->is_empty = true;
  point(self, group, sum->micro);
}

ESP_CLONES static bool are_below(const float *values, int64_t n, float limit) {
  int beyond = 0; // NaN too
#pragma omp simd reduction(| : beyond)
  for (int64_t i = 0; i < n; i++) beyond |= !(fabsf(values[i]) < limit);
  return !beyond;
}

/* trunc(2^40 value), |value| < 2^16, in two exact parts of 26 and 30 bits: conversions to int32 are
 * vectors everywhere, those to int64 are not. */
static inline int64_t fix(float value) {
  const float scaled = value * 0x1p10f;
  const int32_t high = (int32_t)scaled;
  const int32_t low = (int32_t)((scaled - (float)high) * 0x1p30f);
  return (int64_t)high * (1 << 30) + low;
}

ESP_CLONES static void add_fixed(int64_t *restrict sum, const float *restrict values, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) sum[i] += fix(values[i]);
}

ESP_CLONES static void set_fixed(int64_t *restrict sum, const float *restrict values, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) sum[i] = fix(values[i]);
}

ESP_CLONES static void add_floating(float *restrict sum, const float *restrict values, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) sum[i] += values[i];
}

/* What the first find is not read. */
static void add_block(gradient_sum *self, int64_t i, int64_t n) {
  const float *values = self->micro + i;
  if (self->fixed) (self->is_empty ? set_fixed : add_fixed)(self->fixed + i, values, n);
  if (self->floating && self->is_empty) memset(self->floating + i, 0, (size_t)n * sizeof *values);
  if (self->floating) add_floating(self->floating + i, values, n);
}

/* A block at a time, so that its values are read from memory once, and are 0 for the next. */
static bool add(gradient_sum *self, int64_t n, float limit) {
  for (int64_t i = 0; i < n; i += PARTS_BLOCK) {
    const int64_t count = n - i < PARTS_BLOCK ? n - i : PARTS_BLOCK;
    if (!are_below(self->micro + i, count, limit)) return false;
    add_block(self, i, count);
    memset(self->micro + i, 0, (size_t)count * sizeof *self->micro);
  }
  self->is_empty = false;
  return true;
}

bool gradients_add_local(train_gradients *self) {
  bool fine = true;
  for (int i = 0; i < 2 && fine; i++)
    if (self->sums[i].is_active)
      fine = add(&self->sums[i], count_values(self, &self->sums[i]), self->limit);
  return fine;
}

/* A rank without micro-batches adds nothing. */
static void set_empty(const gradient_sum *self, int64_t n) {
  if (self->fixed) memset(self->fixed, 0, (size_t)n * sizeof *self->fixed);
  if (self->floating) memset(self->floating, 0, (size_t)n * sizeof *self->floating);
}

/* This rank's part of a piece's sums; one rank has them all. */
static const float *scatter_floats(const esp_comm *comm, const train_gradients *self,
                                   const float *sums, const parts_piece *piece) {
  if (comm->size == 1) return sums;
  esp_reduce_scatter_f32(comm, sums, piece->begins, self->part);
  return self->part;
}

static const int64_t *scatter_fixed(const esp_comm *comm, const train_gradients *self,
                                    const int64_t *sums, const parts_piece *piece) {
  if (comm->size == 1) return sums;
  esp_reduce_scatter_i64(comm, sums, piece->begins, self->part);
  return self->part;
}

static void reduce_floats(const esp_comm *comm, train_gradients *self, const gradient_sum *sum,
                          const parts_piece *piece, double targets) {
  const int64_t n = parts_own_end(self->parts, piece) - parts_own_begin(self->parts, piece);
  const float *part = scatter_floats(comm, self, sum->floating + piece->begin, piece);
  float *mean = self->mean + piece->own;
  for (int64_t i = 0; i < n; i++)
    mean[i] = self->is_total ? mean[i] + part[i] : (float)((double)part[i] / targets);
}

static void reduce_fixed(const esp_comm *comm, train_gradients *self, const gradient_sum *sum,
                         const parts_piece *piece, double targets) {
  const int64_t n = parts_own_end(self->parts, piece) - parts_own_begin(self->parts, piece);
  const int64_t *part = scatter_fixed(comm, self, sum->fixed + piece->begin, piece);
  const double scale = 0x1p-40 / targets;
  for (int64_t i = 0; i < n && self->total; i++) self->total[piece->own + i] += part[i];
  for (int64_t i = 0; i < n && !self->total; i++)
    self->mean[piece->own + i] = (float)((double)part[i] * scale);
}

void gradients_finish_total_local(train_gradients *self, double targets) {
  const double scale = 0x1p-40 / targets;
  const int64_t n = self->parts->n_own;
  for (int64_t i = 0; i < n && self->total; i++)
    self->mean[i] = (float)((double)self->total[i] * scale);
  for (int64_t i = 0; i < n && !self->total; i++)
    self->mean[i] = (float)((double)self->mean[i] / targets);
}

void gradients_begin_total_local(train_gradients *self) {
  const size_t n = (size_t)self->parts->n_own;
  memset(self->mean, 0, n * sizeof *self->mean);
  if (self->total) memset(self->total, 0, n * sizeof *self->total);
}

void gradients_reduce(const esp_comm *comm, train_gradients *self, int group, double targets) {
  const parts_group *of = &self->parts->groups[group];
  gradient_sum *sum = find_sum(self, group);
  if (of->n == 0) return;
  ESP_ASSERT(sum->group == group);
  if (sum->is_empty) set_empty(sum, of->n);
  void (*reduce)(const esp_comm *, train_gradients *, const gradient_sum *, const parts_piece *,
                 double) = sum->floating ? reduce_floats : reduce_fixed;
  for (int p = of->first_piece; p < of->first_piece + of->n_pieces; p++)
    reduce(comm, self, sum, &self->parts->pieces[p], targets);
  point(self, group, NULL);
  sum->group = -1;
  for (int i = 0; i < 2; i++) self->sums[i].is_active = false; // until its stage
}

static void hold_zeros(train_gradients *self, const parts_run *run) {
  const float *value = parts_find_values(self->parts, run);
  float *mean = self->mean + run->own;
  for (int64_t i = 0; i < run->n; i++)
    if (value[i] == 0.0f) mean[i] = 0.0f;
}

/* Of four whole blocks, one beside the other: each in its own order, and none waits for itself. */
static void add_four_squares(const float *mean, double *squares) {
  double sums[4] = {0.0};
  for (int64_t i = 0; i < PARTS_BLOCK; i++)
    for (int b = 0; b < 4; b++) {
      const double value = mean[b * PARTS_BLOCK + i];
      sums[b] += value * value;
    }
  for (int b = 0; b < 4; b++) squares[b] = sums[b];
}

/* Sums of squares by block of this rank's part of a piece, which begins with a block. */
static void add_squares(const train_gradients *self, const parts_piece *piece, double *squares) {
  const int64_t from = parts_own_begin(self->parts, piece);
  const int64_t n = parts_own_end(self->parts, piece) - from;
  const float *mean = self->mean + piece->own;
  double *first = squares + piece->first_block + from / PARTS_BLOCK;
  int64_t i = 0;
  for (; i + 4 * PARTS_BLOCK <= n; i += 4 * PARTS_BLOCK)
    add_four_squares(mean + i, first + i / PARTS_BLOCK);
  for (; i < n; i++) first[i / PARTS_BLOCK] += (double)mean[i] * (double)mean[i];
}

static double compute_norm(const esp_comm *comm, const train_gradients *self) {
  const train_parts *parts = self->parts;
  double *squares = ESP_NEW(double, parts->n_blocks), sum = 0.0;
  for (int p = 0; p < parts->n_pieces; p++) add_squares(self, &parts->pieces[p], squares);
  esp_allreduce_gather_f64(comm, squares, parts->n_blocks);
  for (int64_t b = 0; b < parts->n_blocks; b++) sum += squares[b];
  esp_free(&squares);
  return sqrt(sum);
}

void gradients_clip(const esp_comm *comm, train_gradients *self, double most) {
  for (int r = 0; r < self->parts->n_runs; r++)
    if (self->parts->is_masked[self->parts->runs[r].weight])
      hold_zeros(self, &self->parts->runs[r]);
  self->norm = compute_norm(comm, self);
  if (most <= 0.0 || self->norm <= most) return;
  const float factor = (float)(most / (self->norm + 1e-6)); // as torch.nn.utils.clip_grad_norm_
  for (int64_t i = 0; i < self->parts->n_own; i++) self->mean[i] *= factor;
}
