#include "unit.h"

#include "activation.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static const char *const names[] = {"relu", "gelu", "tanh", "sigmoid"};

static double exact(const char *name, double z) {
  if (strcmp(name, "relu") == 0) return z > 0.0 ? z : 0.0;
  if (strcmp(name, "gelu") == 0) return 0.5 * z * erfc(-z / sqrt(2.0));
  if (strcmp(name, "tanh") == 0) return tanh(z);
  return 1.0 / (1.0 + exp(-z));
}

/* Of transformers' ACT2FN in double precision (PyTorch 2.13): at -12, -3.5, -1, 0.3, 2 and 12. */
typedef struct golden {
  const char *name;
  double values[6];
} golden;

static const double golden_points[6] = {-12.0, -3.5, -1.0, 0.3, 2.0, 12.0};
static const golden goldens[] = {
    {"gelu", {-0.0, -0.0008142017766, -0.1586552539, 0.1853734267, 1.954499736, 12.0}},
    {"gelu_10", {-0.0, -0.0008142017766, -0.1586552539, 0.1853734267, 1.954499736, 10.0}},
    {"gelu_fast", {-0.0, -0.0006161976554, -0.1588080094, 0.1853709235, 1.954597694, 12.0}},
    {"gelu_new", {-0.0, -0.0006161976554, -0.1588080094, 0.1853709235, 1.954597694, 12.0}},
    {"gelu_python", {-0.0, -0.0008142017766, -0.1586552539, 0.1853734267, 1.954499736, 12.0}},
    {"gelu_pytorch_tanh", {-0.0, -0.0006161976554, -0.1588080094, 0.1853709235, 1.954597694, 12.0}},
    {"gelu_python_tanh", {-0.0, -0.0006161976554, -0.1588080094, 0.1853709235, 1.954597694, 12.0}},
    {"gelu_accurate", {-0.0, -0.0006161976554, -0.1588080094, 0.1853709235, 1.954597694, 12.0}},
    {"hardswish", {-0.0, -0.0, -0.3333333333, 0.165, 1.666666667, 12.0}},
    {"laplace", {0.0, 0.0, 7.173726058e-10, 0.07448831139, 0.9999977102, 1.0}},
    {"leaky_relu", {-0.12, -0.035, -0.01, 0.3, 2.0, 12.0}},
    {"linear", {-12.0, -3.5, -1.0, 0.3, 2.0, 12.0}},
    {"mish", {-7.373032173e-05, -0.1040957545, -0.3034014614, 0.2080013723, 1.94395896, 12.0}},
    {"quick_gelu",
     {-1.618641784e-08, -0.009033446135, -0.1542042341, 0.1874841354, 1.935658623, 11.99999998}},
    {"relu", {0.0, 0.0, 0.0, 0.3, 2.0, 12.0}},
    {"relu2", {0.0, 0.0, 0.0, 0.09, 4.0, 144.0}},
    {"relu6", {0.0, 0.0, 0.0, 0.3, 2.0, 6.0}},
    {"sigmoid",
     {6.144174602e-06, 0.02931223075, 0.2689414214, 0.5744425168, 0.880797078, 0.9999938558}},
    {"silu",
     {-7.373009523e-05, -0.1025928076, -0.2689414214, 0.172332755, 1.761594156, 11.99992627}},
    {"sqrtsoftplus",
     {0.002478748369, 0.1724830956, 0.5596978538, 0.9243133908, 1.458399126, 3.464102502}},
    {"swish",
     {-7.373009523e-05, -0.1025928076, -0.2689414214, 0.172332755, 1.761594156, 11.99992627}},
    {"tanh",
     {-0.9999999999, -0.9981778976, -0.761594156, 0.2913126125, 0.9640275801, 0.9999999999}},
};

static const esp_activation *find(const char *name) {
  const esp_activation *found = NULL;
  assert_int_equal(esp_activation_find(name, &found), ESP_OK);
  assert_string_equal(found->name, name);
  return found;
}

static void assert_values(const char *name, float at_minus_1, float at_0, float at_1) {
  const float z[3] = {-1.0f, 0.0f, 1.0f};
  float y[3];
  find(name)->apply(3, z, y);
  assert_float_equal(y[0], at_minus_1, 1e-6f);
  assert_float_equal(y[1], at_0, 1e-6f);
  assert_float_equal(y[2], at_1, 1e-6f);
}

static void apply_gives_values_known_by_hand(void **state) {
  (void)state;
  assert_values("relu", 0.0f, 0.0f, 1.0f);
  assert_values("gelu", -0.1586552539f, 0.0f, 0.8413447461f); // z Phi(z)
  assert_values("tanh", -0.7615941560f, 0.0f, 0.7615941560f);
  assert_values("sigmoid", 0.2689414214f, 0.5f, 0.7310585786f);
}

static void apply_matches_double_precision(void **state) {
  (void)state;
  for (unsigned a = 0; a < ESP_COUNT(names); a++)
    for (int i = -600; i <= 600; i++) {
      const float z = (float)i / 50.0f;
      float y;
      find(names[a])->apply(1, &z, &y);
      assert_true(fabs((double)y - exact(names[a], (double)z)) < 2e-6 * fmax(1.0, fabs((double)z)));
    }
}

static void apply_agrees_with_transformers(void **state) {
  (void)state;
  for (unsigned a = 0; a < ESP_COUNT(goldens); a++)
    for (int i = 0; i < 6; i++) {
      const float z = (float)golden_points[i];
      float y;
      find(goldens[a].name)->apply(1, &z, &y);
      assert_true(fabs((double)y - goldens[a].values[i]) < 1e-6 * (1.0 + fabs((double)z)));
    }
}

/* Against differences of apply itself, which is in single precision. */
static void derive_is_the_slope_of_apply(void **state) {
  (void)state;
  for (unsigned a = 0; a < ESP_COUNT(goldens); a++)
    for (int i = -70; i <= 70; i++) {
      const float z = (float)i / 10.0f + 0.03f, h = 2e-2f, dy = -2.5f;
      const float at[2] = {z - h, z + h};
      float y[2], dz;
      find(goldens[a].name)->apply(2, at, y);
      find(goldens[a].name)->derive(1, &z, &dy, &dz);
      const double slope = ((double)y[1] - (double)y[0]) / ((double)at[1] - (double)at[0]);
      const double tolerance =
          fabs(fabs((double)z) - 3.0) < 0.05 ? 0.05 : 3e-3; // kinks of hardswish
      assert_true(fabs((double)dz + 2.5 * slope) < tolerance);
    }
}

static void apply_may_be_in_place(void **state) {
  (void)state;
  for (unsigned a = 0; a < ESP_COUNT(names); a++) {
    float z[7] = {-3.0f, -1.0f, -0.1f, 0.0f, 0.2f, 1.5f, 4.0f}, y[7];
    find(names[a])->apply(7, z, y);
    find(names[a])->apply(7, z, z);
    assert_memory_equal(y, z, sizeof y);
  }
}

static void apply_passes_nan_on(void **state) {
  (void)state;
  for (unsigned a = 0; a < ESP_COUNT(names); a++) {
    const float z = NAN;
    float y = 0.0f;
    find(names[a])->apply(1, &z, &y);
    assert_true(isnan(y));
  }
}

static void apply_and_derive_are_finite_far_out(void **state) {
  (void)state;
  const float z[4] = {-1000.0f, -100.0f, 100.0f, 1000.0f}, dy[4] = {1.0f, 1.0f, 1.0f, 1.0f};
  for (unsigned a = 0; a < ESP_COUNT(names); a++) {
    float y[4], dz[4];
    find(names[a])->apply(4, z, y);
    find(names[a])->derive(4, z, dy, dz);
    const bool is_linear = strcmp(names[a], "relu") == 0 || strcmp(names[a], "gelu") == 0;
    for (int i = 0; i < 4; i++) {
      assert_float_equal(y[i], (float)exact(names[a], (double)z[i]), 1e-30f);
      assert_float_equal(dz[i], is_linear && i > 1 ? 1.0f : 0.0f, 1e-30f);
    }
  }
}

static void derive_matches_central_differences(void **state) {
  (void)state;
  const double h = 1e-5;
  for (unsigned a = 0; a < ESP_COUNT(names); a++)
    for (int i = -60; i <= 60; i++) {
      const float z = (float)i / 10.0f + 0.03f, dy = -2.5f; // never on the kink of relu
      const double slope =
          (exact(names[a], (double)z + h) - exact(names[a], (double)z - h)) / (2 * h);
      float dz;
      find(names[a])->derive(1, &z, &dy, &dz);
      assert_true(fabs((double)dz + 2.5 * slope) < 5e-6);
    }
}

static void derive_of_relu_is_zero_at_zero(void **state) {
  (void)state;
  const float z[2] = {0.0f, -0.0f}, dy[2] = {3.0f, 3.0f};
  float dz[2];
  find("relu")->derive(2, z, dy, dz);
  assert_true(dz[0] == 0.0f && dz[1] == 0.0f);
}

static void esp_activation_find_names_the_known_ones(void **state) {
  (void)state;
  const esp_activation *found = NULL;
  for (unsigned a = 0; a < ESP_COUNT(names); a++)
    assert_failure(esp_activation_find("prelu", &found), ESP_USAGE, names[a]);
  assert_failure(esp_activation_find("prelu", &found), ESP_USAGE, "'prelu'");
  assert_failure(esp_activation_find("rellu", &found), ESP_USAGE, "did you mean relu");
  assert_failure(esp_activation_find("", &found), ESP_USAGE, "unknown activation");
  assert_null(found);
}

ESP_TEST_MAIN(cmocka_unit_test(apply_gives_values_known_by_hand),
              cmocka_unit_test(apply_matches_double_precision),
              cmocka_unit_test(apply_agrees_with_transformers),
              cmocka_unit_test(derive_is_the_slope_of_apply),
              cmocka_unit_test(apply_may_be_in_place), cmocka_unit_test(apply_passes_nan_on),
              cmocka_unit_test(apply_and_derive_are_finite_far_out),
              cmocka_unit_test(derive_matches_central_differences),
              cmocka_unit_test(derive_of_relu_is_zero_at_zero),
              cmocka_unit_test(esp_activation_find_names_the_known_ones))
