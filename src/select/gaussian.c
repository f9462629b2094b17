#include "gaussian.h"

#include "check.h"
#include "espalier/core/memory.h"

#include <math.h>

/* Second moments minus squared means may round below zero by this part of the largest variance. */
static const double SLACK = 1e-9;

static esp_status check(const esp_evidence *evidence, int64_t features) {
  const char *site = evidence->site;
  ESP_TRY(esp_check_doubles(site, "covariance", evidence->covariance, features * features));
  ESP_TRY(esp_check_floats(site, "map", evidence->map, evidence->outputs * features));
  if (evidence->output_scale)
    ESP_TRY(esp_check_doubles(site, "output scale", evidence->output_scale, evidence->outputs));
  if (!isfinite(evidence->ridge) || evidence->ridge < 0)
    return esp_fail(ESP_NUMERIC, "site '%s': expected a ridge >= 0, found %g; 1e-4 is usual", site,
                    evidence->ridge);
  return ESP_OK;
}

static double get_variance(const esp_evidence *evidence, int64_t features, int64_t f) {
  return evidence->covariance[f * features + f];
}

static esp_status check_variances(const esp_evidence *evidence, int64_t features) {
  double largest = 0;
  for (int64_t f = 0; f < features; f++)
    largest = fmax(largest, get_variance(evidence, features, f));
  for (int64_t f = 0; f < features; f++)
    if (get_variance(evidence, features, f) < -SLACK * largest)
      return esp_fail(ESP_NUMERIC,
                      "site '%s': expected variances >= 0, found %g at feature %lld; the "
                      "covariance is damaged, collect again",
                      evidence->site, get_variance(evidence, features, f), (long long)f);
  return ESP_OK;
}

esp_status esp_gaussian_init(esp_gaussian *self, const esp_evidence *evidence) {
  const int64_t features = evidence->units * evidence->width;
  ESP_TRY(check(evidence, features));
  ESP_TRY(check_variances(evidence, features));
  *self = (esp_gaussian){.evidence = evidence, .features = features};
  self->dead = ESP_NEW(bool, features);
  double sum = 0;
  for (int64_t f = 0; f < features; f++) {
    self->dead[f] = get_variance(evidence, features, f) <= 0;
    if (!self->dead[f]) sum += get_variance(evidence, features, f);
  }
  self->ridge = features > 0 ? evidence->ridge * sum / (double)features : 0;
  return ESP_OK;
}

void esp_gaussian_clear(esp_gaussian *self) {
  esp_free(&self->dead);
}

bool esp_gaussian_is_dead(const esp_gaussian *self, int64_t unit) {
  const int64_t width = self->evidence->width;
  for (int64_t f = unit * width; f < (unit + 1) * width; f++)
    if (!self->dead[f]) return false;
  return true;
}

static double get_regularised(const esp_gaussian *self, int64_t i, int64_t j) {
  const double value = self->evidence->covariance[j * self->features + i];
  if (self->dead[i] || self->dead[j]) return i != j ? 0 : self->ridge > 0 ? self->ridge : 1;
  return i != j ? value : value + self->ridge;
}

void esp_gaussian_write_covariance(const esp_gaussian *self, int64_t first, int64_t count,
                                   double *lower, int64_t stride) {
  for (int64_t c = 0; c < count; c++)
    for (int64_t i = c; i < self->features - first; i++)
      lower[i + c * stride] = get_regularised(self, first + i, first + c);
}

void esp_gaussian_write_map(const esp_gaussian *self, int64_t first, int64_t count, double *rows) {
  const esp_evidence *evidence = self->evidence;
  for (int64_t j = 0; j < count; j++) {
    const float *from = evidence->map + (first + j) * self->features;
    const double scale = evidence->output_scale ? evidence->output_scale[first + j] : 1;
    for (int64_t f = 0; f < self->features; f++)
      rows[j * self->features + f] = self->dead[f] ? 0 : (double)from[f] * scale;
  }
}
