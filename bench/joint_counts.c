/* Pair-samples a second of CPU time, on one thread, of every supported joint-count kernel and of a
 * fair scatter histogram. Runs are interleaved and medians are printed, since machines are shared.
 */
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/information/joint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N_WORDS = 1024, SAMPLES = N_WORDS * ESP_WORD_BITS, RUNS = 7, MAX_RUNNERS = 8, CELLS = 256 };

typedef struct bench_data {
  int bins;
  int64_t units, scatter_units; // of the tile; of the part that the slower scatter counts
  uint8_t *codes;               // (units, SAMPLES)
  esp_planes planes;
  int32_t *counts;
} bench_data;

static void init_data(bench_data *self, int bins) {
  const int64_t units = bins <= 4 ? 96 : 32, cells = units * units * (bins - 1) * (bins - 1);
  *self = (bench_data){.bins = bins,
                       .units = units,
                       .scatter_units = 12,
                       .codes = ESP_NEW(uint8_t, units * SAMPLES),
                       .counts = ESP_NEW(int32_t, cells)};
  esp_planes_init(&self->planes, units, bins, N_WORDS);
  for (int64_t i = 0; i < units * SAMPLES; i++) {
    const uint64_t code = esp_rng_below(1, 0, (uint64_t)i, (uint64_t)bins);
    const int64_t unit = i / SAMPLES, s = i % SAMPLES;
    self->codes[i] = (uint8_t)code;
    for (uint64_t a = 0; a < code; a++)
      self->planes.words[(unit * (bins - 1) + (int64_t)a) * N_WORDS + s / ESP_WORD_BITS] |=
          UINT64_C(1) << s % ESP_WORD_BITS;
  }
}

static void clear_data(bench_data *self) {
  esp_planes_clear(&self->planes);
  esp_free(&self->codes);
  esp_free(&self->counts);
}

/* Eight samples by one load of each unit, in eight histograms, so that no increment waits for the
 * store of the one before. */
static void scatter_pair(const uint8_t *x, const uint8_t *y, uint32_t histograms[8][CELLS]) {
  for (int64_t s = 0; s < SAMPLES; s += 8) {
    uint64_t x_codes, y_codes;
    memcpy(&x_codes, x + s, sizeof x_codes);
    memcpy(&y_codes, y + s, sizeof y_codes);
    const uint64_t cells = x_codes << 4 | y_codes;
    for (int i = 0; i < 8; i++) histograms[i][cells >> 8 * i & 0xff]++;
  }
}

static void sum_histograms(uint32_t histograms[8][CELLS], int bins, int32_t *counts) {
  for (int a = 1; a < bins; a++)
    for (int b = 1; b < bins; b++)
      for (int i = 0; i < 8; i++)
        counts[(a - 1) * (bins - 1) + b - 1] += (int32_t)histograms[i][a << 4 | b];
}

static void scatter(const bench_data *data) {
  for (int64_t x = 0; x < data->scatter_units; x++)
    for (int64_t y = 0; y < data->scatter_units; y++) {
      uint32_t histograms[8][CELLS] = {{0}};
      scatter_pair(data->codes + x * SAMPLES, data->codes + y * SAMPLES, histograms);
      sum_histograms(histograms, data->bins, data->counts);
    }
}

static double cpu_now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Pair-samples a second of one run; kernel NULL is the scatter histogram. */
static double measure(const bench_data *data, const esp_joint_kernel *kernel) {
  const esp_tile tile = {&data->planes, &data->planes, 0, data->units, 0, data->units};
  const int64_t units = kernel ? data->units : data->scatter_units;
  const double start = cpu_now_s();
  if (kernel)
    kernel->count(&tile, data->counts);
  else
    scatter(data);
  return (double)units * (double)units * SAMPLES / (cpu_now_s() - start);
}

static int compare_rates(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Runner 0 is the scatter histogram; the others are the supported kernels. */
static int list_runners(const esp_joint_kernel **runners) {
  int count = 1;
  runners[0] = NULL;
  for (const esp_joint_kernel *const *row = esp_joint_kernels; (*row)->name; row++)
    if ((*row)->is_supported() && count < MAX_RUNNERS) runners[count++] = *row;
  return count;
}

static void measure_bins(int bins, const esp_joint_kernel **runners, int n_runners) {
  bench_data data;
  double rates[MAX_RUNNERS][RUNS], scatter_rate = 0;
  init_data(&data, bins);
  for (int run = 0; run < RUNS; run++)
    for (int r = 0; r < n_runners; r++) rates[r][run] = measure(&data, runners[r]);
  for (int r = 0; r < n_runners; r++) {
    qsort(rates[r], RUNS, sizeof rates[r][0], compare_rates);
    const double median = rates[r][RUNS / 2];
    if (r == 0) scatter_rate = median;
    printf("%4d  %-18s  %12.3g  %8.1f\n", bins, runners[r] ? runners[r]->name : "scatter", median,
           median / scatter_rate);
  }
  clear_data(&data);
}

int main(void) {
  const esp_joint_kernel *runners[MAX_RUNNERS];
  const int n_runners = list_runners(runners);
  esp_log_set_level(ESP_LOG_WARN);
  printf("one thread, %d samples, medians of %d runs; esp_count_joint runs %s here\n", SAMPLES,
         RUNS, esp_joint_kernel_best()->name);
  printf("bins  kernel              pair-samples/s   ratio\n");
  for (int bins = 2; bins <= ESP_MAX_BINS; bins *= 2) measure_bins(bins, runners, n_runners);
  return 0;
}
