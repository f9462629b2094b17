#include "collect.h"

#include "espalier/core/memory.h"

#include <math.h>

void site_sums_init(site_sums *self, const collect_pass *pass, int64_t features, const double *rms,
                    bool is_full) {
  double *squared = ESP_NEW(double, features);
  for (int64_t i = 0; i < features; i++) squared[i] = rms[i] * rms[i];
  *self = (site_sums){.features = features,
                      .is_full = is_full,
                      .squares = ESP_NEW(float, pass->batch_rows *features)};
  esp_exact_init(&self->first, features, 1, rms, NULL);
  esp_exact_init(&self->sequences, features, 1, squared, NULL);
  if (is_full)
    esp_exact_init(&self->second, features, features, rms, rms);
  else
    esp_exact_init(&self->second, features, 1, squared, NULL);
  esp_free(&squared);
}

void site_sums_clear(site_sums *self) {
  esp_exact_clear(&self->first);
  esp_exact_clear(&self->second);
  esp_exact_clear(&self->sequences);
  esp_free(&self->squares);
}

/* Squares of the mean magnitudes of some rows; sums (features) is scratch. */
static void square_mean(const float *x, int64_t rows, int64_t features, double *sums, float *out) {
  for (int64_t j = 0; j < features; j++) sums[j] = 0.0;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < features; j++) sums[j] += fabs((double)x[r * features + j]);
  for (int64_t j = 0; j < features; j++) {
    const double mean = rows > 0 ? sums[j] / (double)rows : 0.0;
    out[j] = (float)(mean * mean);
  }
}

/* One row a sequence (or image): the squares of its mean magnitudes. */
static esp_status add_sequences(site_sums *self, const collect_pass *pass, int64_t i) {
  const int64_t batch = pass->shard->first + i, n = esp_shard_count_samples(pass->shard, batch);
  const float *x = pass->x;
  double *sums = ESP_NEW(double, self->features);
  for (int64_t s = 0; s < n; s++) {
    const int64_t rows = esp_shard_count_valid_of(pass->shard, batch, s);
    square_mean(x, rows, self->features, sums, self->squares + s * self->features);
    x += rows * self->features;
  }
  esp_free(&sums);
  return esp_exact_add_local(&self->sequences, n, self->squares, self->features, NULL, 0);
}

static esp_status add_second(site_sums *self, int64_t rows, const float *x) {
  const int64_t n = self->features;
  if (self->is_full) return esp_exact_add_local(&self->second, rows, x, n, x, n);
  for (int64_t i = 0; i < rows * n; i++) self->squares[i] = x[i] * x[i];
  return esp_exact_add_local(&self->second, rows, self->squares, n, NULL, 0);
}

esp_status site_sums_add_local(site_sums *self, const collect_pass *pass, int64_t i, int64_t rows) {
  ESP_TRY(esp_exact_add_local(&self->first, rows, pass->x, self->features, NULL, 0));
  ESP_TRY(add_second(self, rows, pass->x));
  return add_sequences(self, pass, i);
}

static double second_moment(const site_sums *sums, int64_t i) {
  return esp_exact_get(&sums->second, i, sums->is_full ? i : 0);
}

static void finish_moments(const site_sums *sums, double n, esp_site_stats *site) {
  for (int64_t i = 0; i < site->features; i++) {
    const double square = second_moment(sums, i);
    site->mean[i] = esp_exact_get(&sums->first, i, 0) / n;
    site->variance[i] = fmax(0.0, square / n - site->mean[i] * site->mean[i]);
    site->norm[i] = sqrt(fmax(0.0, square));
    site->activation[i] = sqrt(fmax(0.0, esp_exact_get(&sums->sequences, i, 0)));
  }
}

/* This rank's block of rows of E[x x^T] - E[x] E[x]^T. */
static void finish_covariance(const esp_comm *comm, const site_sums *sums, double n,
                              esp_site_stats *site) {
  const int64_t f = site->features, begin = esp_block_begin(f, comm->size, comm->rank);
  const int64_t end = esp_block_begin(f, comm->size, comm->rank + 1);
  site->covariance = ESP_NEW(float, (end - begin) * f);
  for (int64_t i = begin; i < end; i++)
    for (int64_t j = 0; j < f; j++)
      site->covariance[(i - begin) * f + j] =
          (float)(i == j ? site->variance[i]
                         : esp_exact_get(&sums->second, i, j) / n - site->mean[i] * site->mean[j]);
}

esp_status site_sums_finish(site_sums *self, const collect_pass *pass, esp_site_stats *site) {
  const double n = (double)pass->stats->rows;
  ESP_TRY(esp_exact_reduce(pass->comm, &self->first));
  ESP_TRY(esp_exact_reduce(pass->comm, &self->second));
  ESP_TRY(esp_exact_reduce(pass->comm, &self->sequences));
  finish_moments(self, n, site);
  if (self->is_full) finish_covariance(pass->comm, self, n, site);
  return ESP_OK;
}
