/* Popcount by VPOPCNTQ in a 4 x 6 register tile: 24 sums, 6 rows of y and one of x in 32 registers.
 */
#include "joint_kernel.h"

#if defined(__AVX512F__) && defined(__AVX512VPOPCNTDQ__)
#include <immintrin.h>

enum { X_ROWS = 4, Y_ROWS = 6, VECTOR_WORDS = 8 };

static bool is_supported(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vpopcntdq");
}

static inline __m512i load(const uint64_t *words) {
  return _mm512_load_si512(words);
}

/* The y rows, or their sums with one x row: members and no array, which GCC would keep in memory.
 */
typedef struct row {
  __m512i a, b, c, d, e, f;
} row;

static inline row load_rows(const uint64_t *y) {
  return (row){load(y),
               load(y + VECTOR_WORDS),
               load(y + 2 * VECTOR_WORDS),
               load(y + 3 * VECTOR_WORDS),
               load(y + 4 * VECTOR_WORDS),
               load(y + 5 * VECTOR_WORDS)};
}

static inline __m512i add_bits(__m512i sum, __m512i x, __m512i y) {
  return _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_and_si512(x, y)));
}

static inline row add_row(row sums, __m512i x, row y) {
  return (row){add_bits(sums.a, x, y.a), add_bits(sums.b, x, y.b), add_bits(sums.c, x, y.c),
               add_bits(sums.d, x, y.d), add_bits(sums.e, x, y.e), add_bits(sums.f, x, y.f)};
}

/* Sums of both halves of 128 bits, side by side: [a, b] in each lane. */
static inline __m512i add_pairs(__m512i a, __m512i b) {
  return _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* Sums of neighbouring lanes: a's two, then b's two. */
static inline __m512i add_lanes(__m512i a, __m512i b) {
  return _mm512_add_epi64(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd));
}

/* Eight sums, each over a vector, by 21 operations. */
typedef struct eight {
  __m512i a, b, c, d, e, f, g, h;
} eight;

static inline void store_sums(eight of, int32_t *counts) {
  const __m512i low = add_lanes(add_pairs(of.a, of.b), add_pairs(of.c, of.d));
  const __m512i high = add_lanes(add_pairs(of.e, of.f), add_pairs(of.g, of.h));
  _mm256_storeu_si256((__m256i *)(void *)counts, _mm512_cvtepi64_epi32(add_lanes(low, high)));
}

static void multiply(const uint64_t *x, const uint64_t *y, int64_t steps, int32_t *counts) {
  const __m512i zero = _mm512_setzero_si512();
  row first = {zero, zero, zero, zero, zero, zero}, second = first, third = first, fourth = first;
  const uint64_t *const end = x + steps * X_ROWS * VECTOR_WORDS;
  do {
    const row y_rows = load_rows(y);
    first = add_row(first, load(x), y_rows);
    second = add_row(second, load(x + VECTOR_WORDS), y_rows);
    third = add_row(third, load(x + 2 * VECTOR_WORDS), y_rows);
    fourth = add_row(fourth, load(x + 3 * VECTOR_WORDS), y_rows);
    x += X_ROWS * VECTOR_WORDS;
    y += Y_ROWS * VECTOR_WORDS;
  } while (x != end);
  store_sums((eight){first.a, first.b, first.c, first.d, first.e, first.f, second.a, second.b},
             counts);
  store_sums((eight){second.c, second.d, second.e, second.f, third.a, third.b, third.c, third.d},
             counts + 8);
  store_sums((eight){third.e, third.f, fourth.a, fourth.b, fourth.c, fourth.d, fourth.e, fourth.f},
             counts + 16);
}

static void pack(const uint64_t *words, int64_t steps, int64_t step_words, uint64_t *packed) {
  for (int64_t step = 0; step < steps; step++)
    _mm512_store_si512(packed + step * step_words, _mm512_loadu_si512(words + step * VECTOR_WORDS));
}

static const esp_bit_multiply kernel = {.x_rows = X_ROWS,
                                        .y_rows = Y_ROWS,
                                        .vector_words = VECTOR_WORDS,
                                        .shifts = 1,
                                        .block_words = 512,
                                        .x_block_rows = 192,
                                        .pack = pack,
                                        .multiply = multiply};
static void count(const esp_tile *tile, int32_t *counts) {
  esp_count_tile(&kernel, tile, counts);
}
#else
static bool is_supported(void) {
  return false;
}
static void count(const esp_tile *tile, int32_t *counts) {
  esp_joint_portable.count(tile, counts);
}
#endif

const esp_joint_kernel esp_joint_avx512 = {"avx512-vpopcntdq", is_supported, count};
