#include "collect.h"

#include "espalier/core/memory.h"

#include <math.h>

static double *square(const double *values, int64_t n) {
  double *squares = ESP_NEW(double, n);
  for (int64_t i = 0; i < n; i++) squares[i] = values[i] * values[i];
  return squares;
}

void site_sums_init(site_sums *self, const collect_pass *pass, int64_t features,
                    const collect_scale *scale, bool is_full) {
  double *variance = square(scale->spread, features), *power = square(scale->rms, features);
  *self = (site_sums){.features = features,
                      .is_full = is_full,
                      .scale = scale,
                      .scratch = ESP_NEW(float, pass->batch_rows *features)};
  esp_exact_init(&self->first, features, 1, scale->spread, NULL);
  esp_exact_init(&self->sequences, features, 1, power, NULL);
  if (is_full)
    esp_exact_init(&self->second, features, features, scale->spread, scale->spread);
  else
    esp_exact_init(&self->second, features, 1, variance, NULL);
  esp_free(&variance);
  esp_free(&power);
}

void site_sums_clear(site_sums *self) {
  esp_exact_clear(&self->first);
  esp_exact_clear(&self->second);
  esp_exact_clear(&self->sequences);
  esp_free(&self->scratch);
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
    square_mean(x, rows, self->features, sums, self->scratch + s * self->features);
    x += rows * self->features;
  }
  esp_free(&sums);
  return esp_exact_add_local(&self->sequences, n, self->scratch, self->features, NULL, 0);
}

static void centre(const site_sums *self, int64_t rows, const float *x, float *out) {
  const int64_t n = self->features;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < n; j++) out[r * n + j] = x[r * n + j] - self->scale->centre[j];
}

/* x is used up. */
static esp_status add_second(site_sums *self, int64_t rows, float *x) {
  const int64_t n = self->features;
  if (self->is_full) return esp_exact_add_local(&self->second, rows, x, n, x, n);
  for (int64_t i = 0; i < rows * n; i++) x[i] *= x[i];
  return esp_exact_add_local(&self->second, rows, x, n, NULL, 0);
}

esp_status site_sums_add_local(site_sums *self, const collect_pass *pass, int64_t i, int64_t rows) {
  centre(self, rows, pass->x, self->scratch);
  ESP_TRY(esp_exact_add_local(&self->first, rows, self->scratch, self->features, NULL, 0));
  ESP_TRY(add_second(self, rows, self->scratch));
  return add_sequences(self, pass, i);
}

/* E[x] - c, c the centre. */
static double mean_from_centre(const site_sums *sums, double n, int64_t i) {
  return esp_exact_get(&sums->first, i, 0) / n;
}

/* E[(x - c)^2] - (E[x] - c)^2; sum x^2 = n (Var(x) + E[x]^2), where nothing cancels. */
static void finish_moments(const site_sums *sums, double n, esp_site_stats *site) {
  for (int64_t i = 0; i < site->features; i++) {
    const double square = esp_exact_get(&sums->second, i, sums->is_full ? i : 0) / n;
    const double shift = mean_from_centre(sums, n, i);
    site->mean[i] = (double)sums->scale->centre[i] + shift;
    site->variance[i] = fmax(0.0, square - shift * shift);
    site->norm[i] = sqrt(n * (site->variance[i] + site->mean[i] * site->mean[i]));
    site->activation[i] = sqrt(fmax(0.0, esp_exact_get(&sums->sequences, i, 0)));
  }
}

/* This rank's block of rows of E[(x - c) (x - c)^T] - (E[x] - c) (E[x] - c)^T. */
static void finish_covariance(const esp_comm *comm, const site_sums *sums, double n,
                              esp_site_stats *site) {
  const int64_t f = site->features, begin = esp_block_begin(f, comm->size, comm->rank);
  const int64_t end = esp_block_begin(f, comm->size, comm->rank + 1);
  double *shift = ESP_NEW(double, f);
  for (int64_t j = 0; j < f; j++) shift[j] = mean_from_centre(sums, n, j);
  site->covariance = ESP_NEW(float, (end - begin) * f);
  for (int64_t i = begin; i < end; i++)
    for (int64_t j = 0; j < f; j++)
      site->covariance[(i - begin) * f + j] =
          (float)(i == j ? site->variance[i]
                         : esp_exact_get(&sums->second, i, j) / n - shift[i] * shift[j]);
  esp_free(&shift);
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
