#include "check.h"

#include <math.h>

static esp_status fail_value(const char *site, const char *what, int64_t index, double value) {
  return esp_fail(ESP_NUMERIC,
                  "site '%s': expected a finite %s, found %g at element %lld; look for NaN or "
                  "overflow in the weights and the calibration data",
                  site, what, value, (long long)index);
}

esp_status esp_check_floats(const char *site, const char *what, const float *values,
                            int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (!isfinite(values[i])) return fail_value(site, what, i, (double)values[i]);
  return ESP_OK;
}

esp_status esp_check_doubles(const char *site, const char *what, const double *values,
                             int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (!isfinite(values[i])) return fail_value(site, what, i, values[i]);
  return ESP_OK;
}
