/* Popcount by nibble look-up (Mula, Kurz, Lemire 2018) in a 2 x 4 register tile. The panels hold
 * each byte's nibbles apart, so that a look-up is one AND, one shuffle and one add: 6 operations
 * for 256 bits, as many as carry-save adders take, without the registers that those need. */
#include "joint_kernel.h"

#if defined(__AVX2__)
#include <immintrin.h>

enum { X_ROWS = 2, Y_ROWS = 6, VECTOR_WORDS = 4, SHIFTS = 2 };
enum { SUM_STEPS = 31, BLOCK_WORDS = 256 }; // of at most 8 bits a byte: the sums stay below 256

static bool is_supported(void) {
  return __builtin_cpu_supports("avx2") != 0;
}

static inline __m256i load(const uint64_t *words) {
  return _mm256_load_si256((const __m256i *)words);
}

/* The y rows' sums with one x row: members and no array, which GCC would keep in memory. */
typedef struct row {
  __m256i a, b, c, d, e, f;
} row;

static inline __m256i add_nibbles(__m256i sum, __m256i x, const uint64_t *y) {
  const __m256i popcount = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, //
                                            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i bits = _mm256_shuffle_epi8(popcount, _mm256_and_si256(x, load(y)));
  __asm__ volatile("vpaddb %1, %0, %0" : "+x"(sum) : "x"(bits));
  return sum;
}

static inline row add_row(row sums, __m256i x, const uint64_t *y) {
  return (row){add_nibbles(sums.a, x, y),
               add_nibbles(sums.b, x, y + VECTOR_WORDS),
               add_nibbles(sums.c, x, y + 2 * VECTOR_WORDS),
               add_nibbles(sums.d, x, y + 3 * VECTOR_WORDS),
               add_nibbles(sums.e, x, y + 4 * VECTOR_WORDS),
               add_nibbles(sums.f, x, y + 5 * VECTOR_WORDS)};
}

static inline __m256i add_bytes(__m256i total, __m256i bytes) {
  return _mm256_add_epi64(total, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
}

static inline void add_totals(__m256i *totals, row sums) {
  totals[0] = add_bytes(totals[0], sums.a);
  totals[1] = add_bytes(totals[1], sums.b);
  totals[2] = add_bytes(totals[2], sums.c);
  totals[3] = add_bytes(totals[3], sums.d);
  totals[4] = add_bytes(totals[4], sums.e);
  totals[5] = add_bytes(totals[5], sums.f);
}

/* Sums of both halves of 128 bits, side by side. */
static inline __m256i add_pairs(__m256i a, __m256i b) {
  return _mm256_add_epi64(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

/* Four sums, each over a vector. */
static inline void store_sums(const __m256i *totals, int32_t *counts) {
  const __m256i low = add_pairs(totals[0], totals[1]), high = add_pairs(totals[2], totals[3]);
  const __m256i sums = _mm256_add_epi64(_mm256_permute2x128_si256(low, high, 0x20),
                                        _mm256_permute2x128_si256(low, high, 0x31));
  const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
  _mm_storeu_si128((__m128i *)(void *)counts,
                   _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(sums, even)));
}

/* Sum up to SUM_STEPS vectors, in both shifts, and add them to the totals. */
static inline void multiply_part(const uint64_t *x, const uint64_t *y, int64_t steps,
                                 __m256i *totals) {
  const __m256i zero = _mm256_setzero_si256();
  row first = {zero, zero, zero, zero, zero, zero}, second = first;
  const uint64_t *const end = x + steps * SHIFTS * X_ROWS * VECTOR_WORDS;
  do {
    first = add_row(first, load(x), y);
    second = add_row(second, load(x + VECTOR_WORDS), y);
    x += X_ROWS * VECTOR_WORDS;
    y += Y_ROWS * VECTOR_WORDS;
  } while (x != end);
  add_totals(totals, first);
  add_totals(totals + Y_ROWS, second);
}

static void multiply(const uint64_t *x, const uint64_t *y, int64_t steps, int32_t *counts) {
  const __m256i zero = _mm256_setzero_si256();
  __m256i totals[] = {zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero};
  const int64_t parts = (steps + SUM_STEPS - 1) / SUM_STEPS, most = (steps + parts - 1) / parts;
  for (int64_t begin = 0; begin < steps; begin += most) {
    const int64_t words = begin * SHIFTS * VECTOR_WORDS;
    multiply_part(x + words * X_ROWS, y + words * Y_ROWS,
                  steps - begin < most ? steps - begin : most, totals);
  }
  for (int i = 0; i < X_ROWS * Y_ROWS; i += 4) store_sums(totals + i, counts + i);
}

static void pack(const uint64_t *words, int64_t steps, int64_t step_words, uint64_t *packed) {
  const __m256i low = _mm256_set1_epi8(0x0f);
  for (int64_t step = 0; step < steps; step++) {
    const __m256i bits = _mm256_loadu_si256((const __m256i *)(const void *)words);
    _mm256_store_si256((__m256i *)packed, _mm256_and_si256(bits, low));
    _mm256_store_si256((__m256i *)(packed + step_words),
                       _mm256_and_si256(_mm256_srli_epi64(bits, 4), low));
    words += VECTOR_WORDS;
    packed += SHIFTS * step_words;
  }
}

static const esp_bit_multiply kernel = {.x_rows = X_ROWS,
                                        .y_rows = Y_ROWS,
                                        .vector_words = VECTOR_WORDS,
                                        .shifts = SHIFTS,
                                        .block_words = BLOCK_WORDS,
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

const esp_joint_kernel esp_joint_avx2 = {"avx2", is_supported, count};
