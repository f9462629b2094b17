#include "activation.h"

#include "espalier/core/clones.h"
#include "espalier/core/elementary.h"
#include "espalier/core/named.h"

#include <math.h>
#include <string.h>

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
  return 1.0f / (1.0f + esp_exp_fast(-v));
}
static float normal_cdf(float v) {
  return 0.5f * (1.0f + esp_erf_fast(v * 0.70710678f));
}
static float normal_pdf(float v) {
  return 0.39894228f * esp_exp_fast(-0.5f * v * v);
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

static float rectified(float v) {
  return v < 0.0f ? 0.0f : v;
}
static float softplus(float v) {
  return v > 20.0f ? v : log1pf(expf(v));
}
/* MEGA's, Ma et al. 2022: 1/2 (1 + erf((z - mu) / (sigma sqrt 2))). */
static float laplace(float v) {
  return 0.5f * (1.0f + esp_erf_fast((v - 0.707107f) / 0.39894227f));
}
static float laplace_slope(float v) {
  const float u = (v - 0.707107f) / 0.39894227f;
  return 1.41421356f * expf(-u * u); // 1 / (sigma sqrt(2 pi)) = 1.4142
}
static float clip(float v, float low, float high) {
  return v < low ? low : v > high ? high : v;
}
static float clipped_gelu_slope(float v) {
  return v > 10.0f ? 0.0f : normal_cdf(v) + v * normal_pdf(v);
}
static float quick_slope(float v) {
  const float gate = logistic_fast(1.702f * v);
  return gate * (1.0f + 1.702f * v * (1.0f - gate));
}
static float hardswish_slope(float v) {
  return v <= -3.0f ? 0.0f : v >= 3.0f ? 1.0f : (2.0f * v + 3.0f) / 6.0f;
}
static float mish_slope(float v) {
  const float gate = tanhf(softplus(v));
  return gate + v * (1.0f - gate * gate) * logistic(v);
}

/* NaN passes through relu, so that bad activations are seen where they arise. */
ACTIVATION(relu, v<0.0f ? 0.0f : v, v> 0.0f ? 1.0f : 0.0f)
ACTIVATION(gelu, v *normal_cdf(v), normal_cdf(v) + v * normal_pdf(v))
ACTIVATION(gelu_new, v *tanh_gate(v), gelu_new_slope(v))
ACTIVATION(silu, v *logistic_fast(v), silu_slope(v))
ACTIVATION(tanh, tanhf(v), 1.0f - tanhf(v) * tanhf(v))
ACTIVATION(sigmoid, logistic(v), logistic(v) * (1.0f - logistic(v)))
ACTIVATION(gelu_10, clip(v *normal_cdf(v), -10.0f, 10.0f), clipped_gelu_slope(v))
ACTIVATION(quick_gelu, v *logistic_fast(1.702f * v), quick_slope(v))
ACTIVATION(relu2, rectified(v) * rectified(v), 2.0f * rectified(v))
ACTIVATION(relu6, clip(v, 0.0f, 6.0f), v > 0.0f && v < 6.0f ? 1.0f : 0.0f)
ACTIVATION(leaky_relu, v<0.0f ? 0.01f * v : v, v> 0.0f ? 1.0f : 0.01f)
ACTIVATION(hardswish, v *clip(v + 3.0f, 0.0f, 6.0f) / 6.0f, hardswish_slope(v))
ACTIVATION(mish, v *tanhf(softplus(v)), mish_slope(v))
ACTIVATION(laplace, laplace(v), laplace_slope(v))
ACTIVATION(sqrtsoftplus, sqrtf(softplus(v)), logistic(v) / (2.0f * sqrtf(softplus(v))))

static void linear_apply(int64_t n, const float *z, float *y) {
  memmove(y, z, (size_t)n * sizeof *y);
}
static void linear_derive(int64_t n, const float *z, const float *dy, float *dz) {
  (void)z;
  memmove(dz, dy, (size_t)n * sizeof *dz);
}

static const esp_activation activations[] = {
    {"relu", relu_apply, relu_derive},
    {"gelu", gelu_apply, gelu_derive},
    {"gelu_new", gelu_new_apply, gelu_new_derive},
    {"silu", silu_apply, silu_derive},
    {"tanh", tanh_apply, tanh_derive},
    {"sigmoid", sigmoid_apply, sigmoid_derive},
    {"gelu_10", gelu_10_apply, gelu_10_derive},
    {"quick_gelu", quick_gelu_apply, quick_gelu_derive},
    {"relu2", relu2_apply, relu2_derive},
    {"relu6", relu6_apply, relu6_derive},
    {"leaky_relu", leaky_relu_apply, leaky_relu_derive},
    {"hardswish", hardswish_apply, hardswish_derive},
    {"linear", linear_apply, linear_derive},
    {"mish", mish_apply, mish_derive},
    {"laplace", laplace_apply, laplace_derive},
    {"sqrtsoftplus", sqrtsoftplus_apply, sqrtsoftplus_derive},
    // Other names of the same functions.
    {"gelu_python", gelu_apply, gelu_derive},
    {"gelu_fast", gelu_new_apply, gelu_new_derive},
    {"gelu_accurate", gelu_new_apply, gelu_new_derive},
    {"gelu_pytorch_tanh", gelu_new_apply, gelu_new_derive},
    {"gelu_python_tanh", gelu_new_apply, gelu_new_derive},
    {"swish", silu_apply, silu_derive},
    {NULL, NULL, NULL},
};

esp_status esp_activation_find(const char *name, const esp_activation **activation) {
  int i;
  ESP_TRY(esp_find_row("activation", name, activations, sizeof *activations, &i));
  *activation = &activations[i];
  return ESP_OK;
}
