/* The pilot: micro-batches spread evenly over all, whose activations are gathered feature block by
 * feature block, each block on one rank in turn, which computes its edges. */
#include "collect_internal.h"

#include "espalier/core/clones.h"
#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

enum { LEAST_SPREAD = 64 };

void collect_scale_init(collect_scale *self, int64_t features) {
  *self = (collect_scale){.centre = ESP_NEW(float, features),
                          .rms = ESP_NEW(double, features),
                          .spread = ESP_NEW(double, features)};
}

void collect_scale_clear(collect_scale *self) {
  esp_free(&self->centre);
  esp_free(&self->rms);
  esp_free(&self->spread);
}

static int64_t count_pilot_batches(const collect_pass *pass) {
  const int64_t wanted = (pass->options->pilot + pass->batch_rows - 1) / pass->batch_rows;
  const int64_t all = pass->shard->n_batches;
  return wanted < 1 ? 1 : wanted < all ? wanted : all;
}

static esp_status run_local(collect_pass *pass, collect_source source, int stage,
                            collect_pilot *self) {
  const int64_t n = count_pilot_batches(pass), first = pass->shard->first;
  for (int64_t i = 0; i < n; i++) {
    const int64_t mine = esp_shard_pick(pass->shard, i, n) - first;
    if (mine < 0 || mine >= pass->shard->count) continue;
    float *x = self->x + self->rows * self->features;
    int64_t rows;
    ESP_TRY(source(pass, stage, mine, &rows));
    memcpy(x, pass->x, (size_t)(rows * self->features) * sizeof *x);
    self->list[self->n++] = (site_rows){mine, rows, x};
    self->rows += rows;
  }
  return ESP_OK;
}

const site_rows *collect_pilot_find(const collect_pilot *self, int64_t i) {
  for (int k = 0; k < self->n; k++)
    if (self->list[k].i == i) return &self->list[k];
  return NULL;
}

/* Those of all ranks. */
typedef struct pilot_rows {
  const esp_comm *comm;
  const collect_pilot *mine;
  int64_t *counts; // (size): rows of each rank
} pilot_rows;

/* Columns [begin, begin + n) of all ranks' rows, in order of the micro-batches, on root. */
static void gather_block(const pilot_rows *pilot, int64_t begin, int64_t n, int root,
                         float *block) {
  const collect_pilot *self = pilot->mine;
  float *mine = ESP_NEW(float, self->rows *n);
  for (int64_t r = 0; r < self->rows; r++)
    memcpy(mine + r * n, self->x + r * self->features + begin, (size_t)n * sizeof *mine);
  esp_gather_rows_f32(pilot->comm, mine, n, pilot->counts, root, block);
  esp_free(&mine);
}

/* Sums over rows, of each column apart: rows pass once, and a column's sum is in their order. */
ESP_CLONES static void add_rows(const float *x, int64_t rows, int64_t n, double *sums) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < n; j++) sums[j] += (double)x[r * n + j];
}

ESP_CLONES static void add_squares(const float *x, int64_t rows, int64_t n, const float *centre,
                                   double *sums) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < n; j++) {
      const double value = (double)x[r * n + j] - (double)centre[j];
      sums[j] += value * value;
    }
}

static double root_of_mean(double sum, int64_t rows) {
  return rows > 0 ? sqrt(sum / (double)rows) : 0.0;
}

/* A pilot may be one row, whose spread tells nothing: hence the floor of 2^-12 of the mean square.
 * The sums then round at 2^-38 of it, less than float32 activations that far from 0 do. */
static void compute_scale(const float *x, int64_t rows, int64_t n, int64_t begin,
                          const collect_scale *scale) {
  const float zero[PILOT_FEATURES] = {0.0f};
  double sums[PILOT_FEATURES] = {0.0}, powers[PILOT_FEATURES] = {0.0},
         spreads[PILOT_FEATURES] = {0.0};
  float *centre = scale->centre + begin;
  add_rows(x, rows, n, sums);
  for (int64_t j = 0; j < n; j++) centre[j] = rows > 0 ? (float)(sums[j] / (double)rows) : 0.0f;
  add_squares(x, rows, n, zero, powers);
  add_squares(x, rows, n, centre, spreads);
  for (int64_t j = 0; j < n; j++) {
    const double rms = root_of_mean(powers[j], rows);
    scale->rms[begin + j] = rms;
    scale->spread[begin + j] = fmax(root_of_mean(spreads[j], rows), rms / LEAST_SPREAD);
  }
}

/* bins 0: without edges. */
static void compute_blocks(const pilot_rows *self, esp_site_stats *site, int bins,
                           const collect_scale *scale) {
  const esp_comm *comm = self->comm;
  const int64_t features = site->features;
  int64_t rows = 0;
  for (int r = 0; r < comm->size; r++) rows += self->counts[r];
  float *block = ESP_NEW(float, rows *PILOT_FEATURES);
  int root = 0;
  for (int64_t begin = 0; begin < features; begin += PILOT_FEATURES) {
    const int64_t left = features - begin, n = left < PILOT_FEATURES ? left : PILOT_FEATURES;
    gather_block(self, begin, n, root, block);
    if (comm->rank == root) {
      if (bins > 0) esp_compute_edges(block, rows, n, n, bins, site->edges + begin * (bins - 1));
      compute_scale(block, rows, n, begin, scale);
    }
    root = (root + 1) % comm->size;
  }
  esp_free(&block);
  if (bins > 0) esp_allreduce_gather_f32(comm, site->edges, features * (bins - 1));
  esp_allreduce_gather_f32(comm, scale->centre, features);
  esp_allreduce_gather_f64(comm, scale->rms, features);
  esp_allreduce_gather_f64(comm, scale->spread, features);
}

esp_status collect_pilot_take(collect_pass *pass, collect_source source, int stage,
                              int64_t features, collect_pilot *self) {
  const int64_t most = count_pilot_batches(pass);
  const int64_t batches = most < pass->shard->count ? most : pass->shard->count;
  *self = (collect_pilot){.features = features,
                          .list = ESP_NEW(site_rows, batches),
                          .x = ESP_NEW(float, batches * pass->batch_rows * features)};
  const esp_status status = esp_agree(pass->comm, run_local(pass, source, stage, self));
  esp_stream_free_scratch(&pass->stream);
  return status;
}

void collect_pilot_measure(const collect_pass *pass, const collect_pilot *pilot,
                           esp_site_stats *site, const collect_scale *scale) {
  const pilot_rows all = {pass->comm, pilot, ESP_NEW(int64_t, pass->comm->size)};
  esp_allgather_i64(pass->comm, ESP_CONTROL, pilot->rows, all.counts);
  compute_blocks(&all, site, pass->options->leaves_codes ? 0 : pass->stats->bins, scale);
  esp_release(all.counts);
}

void collect_pilot_clear(collect_pilot *self) {
  esp_free(&self->list);
  esp_free(&self->x);
}
