#include "espalier/linalg/exact.h"

#include "espalier/core/clones.h"
#include "espalier/core/memory.h"
#include "espalier/linalg/gemm.h"
#include "sizes.h"

#include <math.h>
#include <string.h>

enum {
  FRACTION_BITS = 26,
  LIMIT_EXPONENT = 62, // |sum| < 2^62 with every addition below it: int64 never overflows
  RMS_FLOOR = 12,      // rms below 2^-12 of the largest count as that
  EXPONENT_BOUND = 48, // of the pilot: scales and scaled products stay within float
  TILE_SIDE = 384,     // of products in single precision; a panel of B for AVX-512 is so wide
  DOUBLE_BIAS = 1023,
  DOUBLE_DIGITS = 52
};

/* 1.5 x 2^52: adding it to |v| < 2^51 leaves the nearest integer (ties to even, as llrint) in the
 * low bits of the double. Plain SSE2 does it; a conversion to int64 would need AVX-512. */
static const double ROUNDING = 6755399441055744.0;

/* One micro-batch on its way into the sums. */
typedef struct addition {
  esp_exact *into;
  int64_t n;
  const float *a, *b; // b NULL: ones
  int64_t lda, ldb;
  float *col_scale; // (cols) 2^-g_j
} addition;

static void set_exponents(int *exponent, int64_t count, const double *rms) {
  double largest = 0;
  for (int64_t i = 0; rms && i < count; i++)
    if (isfinite(rms[i]) && rms[i] > largest) largest = rms[i];
  const double lowest = ldexp(largest, -RMS_FLOOR);
  for (int64_t i = 0; largest > 0 && i < count; i++) {
    const int e = ilogb(isfinite(rms[i]) && rms[i] > lowest ? rms[i] : lowest);
    exponent[i] = e < -EXPONENT_BOUND ? -EXPONENT_BOUND : e > EXPONENT_BOUND ? EXPONENT_BOUND : e;
  }
}

void esp_exact_init(esp_exact *self, int64_t rows, int64_t cols, const double *row_rms,
                    const double *col_rms) {
  int64_t cells;
  ESP_ASSERT(rows >= 0 && cols >= 0 && !__builtin_mul_overflow(rows, cols, &cells));
  *self = (esp_exact){.rows = rows, .cols = cols, .sum = ESP_NEW(int64_t, cells)};
  self->row_exponent = ESP_NEW(int, rows);
  self->col_exponent = ESP_NEW(int, cols);
  set_exponents(self->row_exponent, rows, row_rms);
  set_exponents(self->col_exponent, cols, col_rms);
}

void esp_exact_init_diagonal(esp_exact *self, const esp_exact *gram) {
  esp_exact_init(self, gram->rows, 1, NULL, NULL);
  for (int64_t i = 0; i < gram->rows; i++)
    self->row_exponent[i] = gram->row_exponent[i] + gram->col_exponent[i];
}

void esp_exact_clear(esp_exact *self) {
  esp_free(&self->sum);
  esp_free(&self->row_exponent);
  esp_free(&self->col_exponent);
}

/* Bits of |value| order as the value does, with infinity and NaN on top. */
static uint32_t magnitude_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits & 0x7fffffffU;
}

/* Scale a row of products to fixed point in place; return the bits of its largest |value|. Powers
 * of two, so exact; what underflows on the way rounds to 0 anyway, and nothing below 2^62
 * overflows. */
ESP_CLONES static uint32_t scale_row(float *row, int64_t count, float row_scale,
                                     const float *col_scale) {
  uint32_t largest = 0;
#pragma omp simd reduction(max : largest)
  for (int64_t j = 0; j < count; j++) {
    row[j] = row[j] * row_scale * col_scale[j];
    const uint32_t bits = magnitude_bits(row[j]);
    largest = bits > largest ? bits : largest;
  }
  return largest;
}

ESP_CLONES static void add_small(int64_t *restrict sum, const float *restrict row, int64_t count) {
#pragma omp simd
  for (int64_t j = 0; j < count; j++) {
    const double shifted = (double)row[j] + ROUNDING;
    int64_t bits, zero;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&zero, &ROUNDING, sizeof zero);
    sum[j] += bits - zero;
  }
}

static void add_large(int64_t *restrict sum, const float *restrict row, int64_t count) {
  for (int64_t j = 0; j < count; j++) sum[j] += llrint((double)row[j]);
}

static void add_row(int64_t *sum, const float *row, int64_t count, uint32_t largest) {
  if (largest < magnitude_bits(0x1p51F))
    add_small(sum, row, count);
  else if (largest < magnitude_bits(0x1p62F))
    add_large(sum, row, count);
}

typedef struct tile {
  int64_t row, col, rows, cols;
  bool upper; // on the diagonal of a Gram matrix: columns left of a row's own are not wanted
} tile;

/* Sums over samples by the weights of b's only column, or alike. */
ESP_CLONES static void sum_columns(const addition *in, const tile *at, float *restrict sums) {
  for (int64_t j = 0; j < at->rows; j++) sums[j] = 0;
  for (int64_t s = 0; s < in->n; s++) {
    const float *restrict row = in->a + s * in->lda + at->row;
    const float weight = in->b ? in->b[s * in->ldb] : 1.0f;
#pragma omp simd
    for (int64_t j = 0; j < at->rows; j++) sums[j] += weight * row[j];
  }
}

/* A^T B of a tile. */
static void multiply_tile(const addition *in, const tile *at, float *products) {
  if (in->into->cols == 1) {
    sum_columns(in, at, products);
    return;
  }
  esp_gemm_compute(&(esp_gemm){.transpose_a = true,
                               .upper = at->upper,
                               .m = at->rows,
                               .n = at->cols,
                               .k = in->n,
                               .alpha = 1,
                               .a = in->a + at->row,
                               .lda = in->lda,
                               .b = in->b + at->col,
                               .ldb = in->ldb,
                               .c = products,
                               .ldc = at->cols});
}

/* Form one tile in scratch, add it, and return the bits of its largest |value|. */
static uint32_t add_tile(const addition *in, const tile *at, float *scratch) {
  esp_exact *into = in->into;
  uint32_t largest = 0;
  multiply_tile(in, at, scratch);
  for (int64_t i = 0; i < at->rows; i++) {
    const int64_t row = at->row + i, first = at->upper ? i : 0, count = at->cols - first;
    float *products = scratch + i * at->cols + first;
    const float scale = ldexpf(1, FRACTION_BITS - into->row_exponent[row]);
    const uint32_t bits = scale_row(products, count, scale, in->col_scale + at->col + first);
    add_row(into->sum + row * into->cols + at->col + first, products, count, bits);
    if (at->upper && into->diagonal) add_row(into->diagonal + row, products, 1, bits);
    largest = bits > largest ? bits : largest;
  }
  return largest;
}

static uint32_t add_tiles(const addition *in) {
  const esp_exact *into = in->into;
  const int64_t down = divide_up(into->rows, TILE_SIDE), across = divide_up(into->cols, TILE_SIDE);
  uint32_t largest = 0;
#pragma omp parallel reduction(max : largest) if (down * across > 1)
  {
    float *scratch = ESP_NEW(float, (TILE_SIDE * TILE_SIDE));
#pragma omp for schedule(dynamic)
    for (int64_t t = 0; t < down * across; t++) {
      const int64_t row = t / across * TILE_SIDE, col = t % across * TILE_SIDE;
      if (into->symmetric && col < row) continue;
      const tile at = {row, col, min_i64(TILE_SIDE, into->rows - row),
                       min_i64(TILE_SIDE, into->cols - col), into->symmetric && col == row};
      const uint32_t bits = add_tile(in, &at, scratch);
      largest = bits > largest ? bits : largest;
    }
    esp_free(&scratch);
  }
  return largest;
}

static esp_status fail_on_value(const char *side, const float *values, int64_t n, int64_t count,
                                int64_t stride) {
  for (int64_t s = 0; s < n; s++)
    for (int64_t j = 0; j < count; j++)
      if (!isfinite(values[s * stride + j]))
        return esp_fail(ESP_NUMERIC,
                        "expected finite activations, found %g in %s unit %lld, sample %lld of a "
                        "micro-batch; check the weights and the calibration data",
                        (double)values[s * stride + j], side, (long long)j, (long long)s);
  return ESP_OK;
}

static esp_status fail_on_range(void) {
  return esp_fail(
      ESP_NUMERIC,
      "expected second moments below 2^36 samples x the pilot's mean square, found "
      "larger ones; use a pilot that represents the calibration data, or fewer samples");
}

/* Keep the bound on all sums up to date; bits are those of the largest |value| just added. */
static esp_status check_addition(const addition *in, uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  if (!isfinite(value)) {
    ESP_TRY(fail_on_value("row", in->a, in->n, in->into->rows, in->lda));
    if (in->b) ESP_TRY(fail_on_value("column", in->b, in->n, in->into->cols, in->ldb));
  }
  if (!(value < ldexpf(1, LIMIT_EXPONENT))) return fail_on_range();
  in->into->largest += (int64_t)ceilf(value);
  return in->into->largest < (int64_t)1 << LIMIT_EXPONENT ? ESP_OK : fail_on_range();
}

static float *make_col_scale(const esp_exact *self) {
  float *scale = ESP_NEW(float, self->cols);
  for (int64_t j = 0; j < self->cols; j++) scale[j] = ldexpf(1, -self->col_exponent[j]);
  return scale;
}

static bool is_gram(const esp_exact *self, const float *a, int64_t lda, const float *b,
                    int64_t ldb) {
  return a == b && lda == ldb && self->rows == self->cols &&
         memcmp(self->row_exponent, self->col_exponent,
                (size_t)self->rows * sizeof *self->row_exponent) == 0;
}

esp_status esp_exact_add_local(esp_exact *self, int64_t n, const float *a, int64_t lda,
                               const float *b, int64_t ldb) {
  if (n == 0) return ESP_OK;
  ESP_ASSERT(b || self->cols == 1);
  const bool symmetric = is_gram(self, a, lda, b, ldb);
  ESP_ASSERT(self->added == 0 || self->symmetric == symmetric);
  self->symmetric = symmetric;
  self->added++;
  const addition in = {self, n, a, b, lda, ldb, make_col_scale(self)};
  const esp_status status = check_addition(&in, add_tiles(&in));
  esp_release(in.col_scale);
  return status;
}

/* Where row i of the upper half begins, once its rows stand one behind the other. */
static int64_t find_packed(const esp_exact *self, int64_t i) {
  return i * self->cols - i * (i - 1) / 2;
}

static void pack_upper(esp_exact *self) {
  for (int64_t i = 1; i < self->rows; i++)
    memmove(self->sum + find_packed(self, i), self->sum + i * self->cols + i,
            (size_t)(self->cols - i) * sizeof *self->sum);
}

static void unpack_upper(esp_exact *self) {
  for (int64_t i = self->rows - 1; i > 0; i--)
    memmove(self->sum + i * self->cols + i, self->sum + find_packed(self, i),
            (size_t)(self->cols - i) * sizeof *self->sum);
}

/* Of a Gram matrix the upper half is added over the ranks, in place. Collective. */
static void reduce_sums(const esp_comm *comm, esp_exact *self) {
  const bool is_packed = self->symmetric && comm->size > 1;
  if (is_packed) pack_upper(self);
  esp_allreduce_sum_i64(comm, self->sum,
                        is_packed ? find_packed(self, self->rows) : self->rows * self->cols);
  if (is_packed) unpack_upper(self);
}

esp_status esp_exact_reduce(const esp_comm *comm, esp_exact *self) {
  const int half = LIMIT_EXPONENT / 2; // the bounds are summed in two halves, which cannot overflow
  const int64_t low_half = ((int64_t)1 << half) - 1;
  int64_t told[] = {self->largest >> half, self->largest & low_half, self->symmetric};
  esp_allreduce_sum_i64(comm, told, 3);
  if (told[0] + (told[1] >> half) > low_half) return fail_on_range();
  self->symmetric = told[2] > 0;
  reduce_sums(comm, self);
  return ESP_OK;
}

void esp_exact_merge(esp_exact *self, const esp_exact *other) {
  ESP_ASSERT(self->rows == other->rows && self->cols == other->cols);
  self->symmetric = self->symmetric || other->symmetric;
  for (int64_t i = 0; i < self->rows; i++)
    for (int64_t j = self->symmetric ? i : 0; j < self->cols; j++)
      self->sum[i * self->cols + j] += other->sum[i * self->cols + j];
}

/* 2^exponent, of a normal number. */
static double power_of_two(int exponent) {
  const uint64_t bits = (uint64_t)(exponent + DOUBLE_BIAS) << DOUBLE_DIGITS;
  double power;
  memcpy(&power, &bits, sizeof power);
  return power;
}

static double get_stored(const esp_exact *self, int64_t i, int64_t j) {
  const int exponent = self->row_exponent[i] + self->col_exponent[j];
  return (double)self->sum[i * self->cols + j] *
         power_of_two(exponent - FRACTION_BITS); // |exponent| <= 2 EXPONENT_BOUND
}

double esp_exact_get(const esp_exact *self, int64_t i, int64_t j) {
  return self->symmetric && i > j ? get_stored(self, j, i) : get_stored(self, i, j);
}

void esp_exact_get_rows(const esp_exact *self, int64_t begin, int64_t end, double *values) {
  const int64_t n = self->cols;
  for (int64_t i = begin; i < end; i++)
    for (int64_t j = self->symmetric ? i : 0; j < n; j++)
      values[(i - begin) * n + j] = get_stored(self, i, j);
  for (int64_t j = 0; self->symmetric && j < end; j++)
    for (int64_t i = j < begin ? begin : j + 1; i < end; i++)
      values[(i - begin) * n + j] = get_stored(self, j, i);
}
