/* What the joint counts' instructions could do if nothing had to be loaded, packed or added up:
 * AND, popcount and sum on registers alone, beside tiles of 64 x 64 units as `prune` counts them.
 * Bits a second of CPU time on one thread, medians of interleaved runs. */
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/information/joint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N_WORDS = 256, UNITS = 64, BINS = 4, PLANES = BINS - 1, RUNS = 9, STEPS = 1000000 };

static double cpu_now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

/* Sums that the compiler cannot know, and must have. */
#define KEEP(x) __asm__ volatile("" : "+x"(x))

__attribute__((target("avx512f,avx512vpopcntdq"))) static double bound_avx512(void) {
  __m512i sums[12], x = _mm512_set1_epi64(0x5a), y = _mm512_set1_epi64(0x3c);
  for (int i = 0; i < 12; i++) sums[i] = _mm512_setzero_si512();
  const double start = cpu_now_s();
  for (int step = 0; step < STEPS; step++)
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++) {
      __asm__ volatile("" : "+v"(x), "+v"(y));
      sums[i] = _mm512_add_epi64(sums[i], _mm512_popcnt_epi64(_mm512_and_si512(x, y)));
    }
  const double seconds = cpu_now_s() - start;
  for (int i = 0; i < 12; i++) __asm__ volatile("" : "+v"(sums[i]));
  return 12.0 * 512.0 * STEPS / seconds;
}

/* By nibbles: half of the bits of a vector a look-up. */
__attribute__((target("avx2"))) static double bound_avx2(void) {
  __m256i sums[8], x = _mm256_set1_epi8(0x0a), y = _mm256_set1_epi8(0x0c);
  const __m256i table = _mm256_set1_epi8(1);
  for (int i = 0; i < 8; i++) sums[i] = _mm256_setzero_si256();
  const double start = cpu_now_s();
  for (int step = 0; step < STEPS; step++)
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
      KEEP(x);
      KEEP(y);
      sums[i] = _mm256_add_epi8(sums[i], _mm256_shuffle_epi8(table, _mm256_and_si256(x, y)));
    }
  const double seconds = cpu_now_s() - start;
  for (int i = 0; i < 8; i++) KEEP(sums[i]);
  return 8.0 * 128.0 * STEPS / seconds;
}
#endif

static double find_bound(const char *kernel) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (strcmp(kernel, "avx512-vpopcntdq") == 0) return bound_avx512();
  if (strcmp(kernel, "avx2") == 0) return bound_avx2();
#endif
  (void)kernel;
  return 0.0;
}

typedef struct bench_data {
  esp_planes planes;
  int32_t *counts;
} bench_data;

static void init_data(bench_data *self) {
  esp_planes_init(&self->planes, 2 * UNITS, BINS, N_WORDS);
  self->counts = ESP_NEW(int32_t, UNITS * UNITS * PLANES * PLANES);
  for (int64_t i = 0; i < 2 * UNITS * PLANES * N_WORDS; i++)
    self->planes.words[i] = esp_rng_u64(1, 0, (uint64_t)i);
}

/* Units [0, 64) against [64, 128), some rows of the tile at a time. */
static double measure(const bench_data *data, const esp_joint_kernel *kernel, int64_t rows) {
  enum { TILES = 8 };
  const double start = cpu_now_s();
  for (int i = 0; i < TILES; i++)
    for (int64_t begin = 0; begin < UNITS; begin += rows) {
      const esp_tile tile = {&data->planes, &data->planes, begin, rows, UNITS, UNITS};
      kernel->count(&tile, data->counts);
    }
  const double bits = (double)UNITS * UNITS * PLANES * PLANES * N_WORDS * ESP_WORD_BITS * TILES;
  return bits / (cpu_now_s() - start);
}

static int compare_rates(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double take_median(double *rates) {
  qsort(rates, RUNS, sizeof *rates, compare_rates);
  return rates[RUNS / 2];
}

static void measure_kernel(const bench_data *data, const esp_joint_kernel *kernel) {
  double bound[RUNS], whole[RUNS], parts[RUNS];
  for (int run = 0; run < RUNS; run++) {
    bound[run] = find_bound(kernel->name);
    whole[run] = measure(data, kernel, UNITS);
    parts[run] = measure(data, kernel, 8);
  }
  const double limit = take_median(bound), tile = take_median(whole), eighth = take_median(parts);
  printf("%-18s  %10.0f  %10.0f  %10.0f", kernel->name, limit / 1e9, tile / 1e9, eighth / 1e9);
  if (limit > 0.0)
    printf("  %8.2f\n", tile / limit);
  else
    printf("         -\n");
}

int main(void) {
  bench_data data;
  esp_log_set_level(ESP_LOG_WARN);
  init_data(&data);
  printf("Gbit/s, one thread, %d samples, %d bins, medians of %d\n", N_WORDS * ESP_WORD_BITS, BINS,
         RUNS);
  printf("kernel               registers     64 x 64      8 x 64     ratio\n");
  for (const esp_joint_kernel *const *row = esp_joint_kernels; (*row)->name; row++)
    if ((*row)->is_supported()) measure_kernel(&data, *row);
  esp_planes_clear(&data.planes);
  esp_free(&data.counts);
  return 0;
}
