/* A half of the micro-batches as statistics of its own. Those numbered 2 k + half are its k-th. */
#include "stats_internal.h"

#include "espalier/core/memory.h"

#include <math.h>

static int64_t number_of(esp_half half, int64_t k) {
  return 2 * k + (half == ESP_ODD);
}

int64_t stats_count_below(esp_half half, int64_t n) {
  return half == ESP_WHOLE ? n : (n + (half == ESP_EVEN)) / 2;
}

int64_t esp_stats_count_rows_local(const esp_stats *whole, esp_half half) {
  if (half == ESP_WHOLE) return whole->rows;
  int64_t rows = 0;
  for (int64_t k = 0; k < stats_count_below(half, whole->n_batches); k++)
    rows += whole->valid[number_of(half, k)];
  return rows;
}

static esp_status check_local(const esp_stats *whole, esp_half half) {
  if (!whole->about.has_halves)
    return esp_fail(ESP_FORMAT,
                    "%s: expected the moments of half the micro-batches, found none; collect "
                    "again, with --halves",
                    whole->path);
  if (esp_stats_count_rows_local(whole, half) > 0) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s: expected rows in both halves of the micro-batches, found none in one; "
                  "collect more samples, or with a smaller --micro-batch",
                  whole->path);
}

esp_status esp_stats_open_half_local(const esp_stats *whole, esp_half half, esp_stats **stats) {
  *stats = NULL;
  ESP_ASSERT(half != ESP_WHOLE && !whole->whole);
  ESP_TRY(check_local(whole, half));
  esp_stats *self = ESP_NEW(esp_stats, 1);
  *self = *whole;
  self->half = half;
  self->whole = whole;
  self->n_batches = stats_count_below(half, whole->n_batches);
  self->first = stats_count_below(half, whole->first);
  self->count = stats_count_below(half, whole->first + whole->count) - self->first;
  self->rows = esp_stats_count_rows_local(whole, half);
  self->valid = ESP_NEW(int64_t, self->n_batches);
  for (int64_t k = 0; k < self->n_batches; k++) self->valid[k] = whole->valid[number_of(half, k)];
  *stats = self;
  return ESP_OK;
}

int64_t stats_place_batch_local(const esp_stats *stats, int64_t i) {
  if (!stats->whole) return i;
  const int64_t number = stats->whole->first + i;
  return number % 2 == (stats->half == ESP_ODD) ? number / 2 - stats->first : -1;
}

/* sqrt(a^2 - b^2), a sum of squares less a part of it. */
static double subtract_squares(double a, double b) {
  return sqrt(fmax(0.0, (a - b) * (a + b)));
}

/* S m = S_A m_A + S_B m_B and S C = S_A C_A + S_B C_B + (S_A S_B / S) (m_A - m_B) (m_A - m_B)^T,
 * solved for B. */
void stats_subtract_local(const esp_stats *stats, const esp_site_stats *even,
                          esp_site_stats *site) {
  const double s = (double)stats->whole->rows, b = (double)stats->rows, a = s - b;
  const int64_t n = site->features;
  double *gap = ESP_NEW(double, n); // (m_A - m_B) sqrt(S_A / S)
  for (int64_t i = 0; i < n; i++) {
    const double mean = (s * site->mean[i] - a * even->mean[i]) / b;
    gap[i] = (even->mean[i] - mean) * sqrt(a / s);
    site->mean[i] = mean;
    site->variance[i] =
        fmax(0.0, (s * site->variance[i] - a * even->variance[i]) / b - gap[i] * gap[i]);
    site->norm[i] = subtract_squares(site->norm[i], even->norm[i]);
    site->activation[i] = subtract_squares(site->activation[i], even->activation[i]);
  }
  for (int64_t i = 0; site->covariance && i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      float *c = &site->covariance[i * n + j];
      const double rest = (s * (double)*c - a * (double)even->covariance[i * n + j]) / b;
      *c = (float)(i == j ? site->variance[i] : rest - gap[i] * gap[j]);
    }
  esp_free(&gap);
}
