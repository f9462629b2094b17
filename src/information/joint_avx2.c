/* Popcount by nibble look-up (Mula, Kurz, Lemire 2018) in a 2 x 4 register tile. The panels hold
 * each byte's nibbles apart, so that a look-up is one AND, one shuffle and one add: 6 operations
 * for 256 bits, as many as carry-save adders take, without the registers that those need. */
#include "joint_kernel.h"

#if defined(__AVX2__)
#include <immintrin.h>

enum { X_ROWS = 2, Y_ROWS = 4, VECTOR_WORDS = 4, SHIFTS = 2 };
enum { SUM_STEPS = 31 }; // of at most 8 bits a byte: the sums stay below 256

static bool is_supported(void) {
  return __builtin_cpu_supports("avx2") != 0;
}

static inline __m256i load(const uint64_t *words) {
  return _mm256_load_si256((const __m256i *)words);
}

/* The x rows, or their sums with one y row: members and no array, which GCC would keep in memory.
 */
typedef struct pair {
  __m256i a, b;
} pair;

static inline __m256i add_nibbles(__m256i sum, __m256i x, __m256i y) {
  const __m256i popcount = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, //
                                            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  return _mm256_add_epi8(sum, _mm256_shuffle_epi8(popcount, _mm256_and_si256(x, y)));
}

static inline pair add_row(pair sums, pair x, __m256i y) {
  return (pair){add_nibbles(sums.a, x.a, y), add_nibbles(sums.b, x.b, y)};
}

static inline int32_t sum_bytes(__m256i bytes) {
  const __m256i lanes = _mm256_sad_epu8(bytes, _mm256_setzero_si256());
  const __m128i half =
      _mm_add_epi64(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
  return (int32_t)(_mm_extract_epi64(half, 0) + _mm_extract_epi64(half, 1));
}

static inline void store_sums(pair sums, int32_t *counts) {
  counts[0] = sum_bytes(sums.a);
  counts[Y_ROWS] = sum_bytes(sums.b);
}

static void multiply(const uint64_t *x, const uint64_t *y, int64_t steps, int32_t *counts) {
  const pair zero = {_mm256_setzero_si256(), _mm256_setzero_si256()};
  pair first = zero, second = zero, third = zero, fourth = zero;
  const uint64_t *const end = x + steps * SHIFTS * X_ROWS * VECTOR_WORDS;
  do {
    const pair x_rows = {load(x), load(x + VECTOR_WORDS)};
    first = add_row(first, x_rows, load(y));
    second = add_row(second, x_rows, load(y + VECTOR_WORDS));
    third = add_row(third, x_rows, load(y + 2 * VECTOR_WORDS));
    fourth = add_row(fourth, x_rows, load(y + 3 * VECTOR_WORDS));
    x += X_ROWS * VECTOR_WORDS;
    y += Y_ROWS * VECTOR_WORDS;
  } while (x != end);
  store_sums(first, counts);
  store_sums(second, counts + 1);
  store_sums(third, counts + 2);
  store_sums(fourth, counts + 3);
}

static const esp_bit_multiply kernel = {.x_rows = X_ROWS,
                                        .y_rows = Y_ROWS,
                                        .vector_words = VECTOR_WORDS,
                                        .shifts = SHIFTS,
                                        .mask = UINT64_C(0x0f0f0f0f0f0f0f0f),
                                        .block_words = SUM_STEPS * VECTOR_WORDS,
                                        .y_block_rows = 144,
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

const esp_joint_kernel esp_joint_avx2 = {"avx2", is_supported, count};
