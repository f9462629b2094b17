#include "activation.h"

#include "exp.h"

#include "espalier/core/clones.h"
#include "espalier/core/named.h"

#include <math.h>

#define ACTIVATION(name, value, slope)                                                          \
  ESP_CLONES static void name##_apply(int64_t n, const float *z, float *y) {                    \
    _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {                                       \
      const float v = z[i];                                                                     \
      y[i] = (value);                                                                           \
    }                                                                                           \
  }                                                                                             \
  ESP_CLONES static void name##_derive(int64_t n, const float *z, const float *dy, float *dz) { \
    _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {                                       \
      const float v = z[i];                                                                     \
      dz[i] = dy[i] * (slope);                                                                  \
    }                                                                                           \
  }

static float logistic(float v) {
  return 1.0f / (1.0f + expf(-v));
}
static float logistic_fast(float v) {
  return 1.0f / (1.0f + exp_fast(-v));
}
static float normal_cdf(float v) {
  return 0.5f * (1.0f + erff(v * 0.70710678f));
}
static float normal_pdf(float v) {
  return 0.39894228f * expf(-0.5f * v * v);
}

/* 1/2 z (1 + tanh u) = z logistic(2u), u = sqrt(2/pi) (z + 0.044715 z^3), Hendrycks and Gimpel
 * 2016. */
static float tanh_gate(float v) {
  return logistic_fast(1.59576912f * v * (1.0f + 0.044715f * v * v));
}
static float gelu_new_slope(float v) {
  const float gate = tanh_gate(v);
  return gate + v * gate * (1.0f - gate) * 1.59576912f * (1.0f + 3.0f * 0.044715f * v * v);
}
static float silu_slope(float v) {
  const float gate = logistic_fast(v);
  return gate * (1.0f + v * (1.0f - gate));
}

/* NaN passes through relu, so that bad activations are seen where they arise. */
ACTIVATION(relu, v<0.0f ? 0.0f : v, v> 0.0f ? 1.0f : 0.0f)
ACTIVATION(gelu, v *normal_cdf(v), normal_cdf(v) + v * normal_pdf(v))
ACTIVATION(gelu_new, v *tanh_gate(v), gelu_new_slope(v))
ACTIVATION(silu, v *logistic_fast(v), silu_slope(v))
ACTIVATION(tanh, tanhf(v), 1.0f - tanhf(v) * tanhf(v))
ACTIVATION(sigmoid, logistic(v), logistic(v) * (1.0f - logistic(v)))

static const esp_activation activations[] = {
    {"relu", relu_apply, relu_derive},
    {"gelu", gelu_apply, gelu_derive},
    {"gelu_new", gelu_new_apply, gelu_new_derive},
    {"gelu_pytorch_tanh", gelu_new_apply, gelu_new_derive}, // the same, as newer models call it
    {"silu", silu_apply, silu_derive},
    {"tanh", tanh_apply, tanh_derive},
    {"sigmoid", sigmoid_apply, sigmoid_derive},
    {NULL, NULL, NULL},
};

esp_status esp_activation_find(const char *name, const esp_activation **activation) {
  int i;
  ESP_TRY(esp_find_row("activation", name, activations, sizeof *activations, &i));
  *activation = &activations[i];
  return ESP_OK;
}
