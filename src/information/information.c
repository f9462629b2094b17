#include "espalier/information/information.h"

#include "espalier/core/memory.h"
#include "espalier/core/status.h"
#include "espalier/information/planes.h"

#include <math.h>

__extension__ typedef __int128 wide;

enum { TABLE_SAMPLES = 1 << 22 };

static double compute_n_log_n(int64_t n) {
  return n > 0 ? (double)n * log((double)n) : 0;
}

int64_t esp_entropy_table_count(int64_t samples) {
  return (samples < TABLE_SAMPLES ? samples : TABLE_SAMPLES) + 1;
}

void esp_entropy_table_init(esp_entropy_table *self, int64_t samples) {
  ESP_ASSERT(samples >= 0);
  const int64_t count = esp_entropy_table_count(samples);
  *self = (esp_entropy_table){.n_log_n = ESP_NEW(double, count), .samples = samples};
  for (int64_t n = 0; n < count; n++) self->n_log_n[n] = compute_n_log_n(n);
}

void esp_entropy_table_clear(esp_entropy_table *self) {
  esp_free(&self->n_log_n);
  *self = (esp_entropy_table){0};
}

/* |{x >= a and y >= b}| with codes: the planes, their marginals for a = 0 or b = 0, and nothing at
 * B. */
static int64_t count_above(const esp_pair_counts *pair, int64_t samples, int a, int b) {
  if (a == pair->x_bins || b == pair->y_bins) return 0;
  if (a == 0) return b == 0 ? samples : pair->y[b - 1];
  if (b == 0) return pair->x[a - 1];
  return pair->joint[(a - 1) * (pair->y_bins - 1) + b - 1];
}

void esp_compute_histogram(const esp_pair_counts *pair, int64_t samples, int64_t *histogram) {
  for (int a = 0; a < pair->x_bins; a++)
    for (int b = 0; b < pair->y_bins; b++)
      *histogram++ = count_above(pair, samples, a, b) - count_above(pair, samples, a + 1, b) -
                     count_above(pair, samples, a, b + 1) +
                     count_above(pair, samples, a + 1, b + 1);
}

/* sum n log n over a histogram, and its occupied cells: S log S - sum is S times the entropy. */
typedef struct cell_sum {
  double n_log_n;
  int occupied;
} cell_sum;

static void add_cell(cell_sum *sum, const esp_entropy_table *table, int64_t n) {
  sum->n_log_n += n <= TABLE_SAMPLES ? table->n_log_n[n] : compute_n_log_n(n);
  sum->occupied += n > 0;
}

static cell_sum sum_joint(const esp_entropy_table *table, const esp_pair_counts *pair) {
  int64_t histogram[ESP_MAX_BINS * ESP_MAX_BINS];
  esp_compute_histogram(pair, table->samples, histogram);
  cell_sum sum = {0};
  for (int cell = 0; cell < pair->x_bins * pair->y_bins; cell++)
    add_cell(&sum, table, histogram[cell]);
  return sum;
}

static cell_sum sum_marginal(const esp_entropy_table *table, const int64_t *above, int bins) {
  cell_sum sum = {0};
  for (int a = 0; a < bins; a++)
    add_cell(&sum, table,
             (a == 0 ? table->samples : above[a - 1]) - (a == bins - 1 ? 0 : above[a]));
  return sum;
}

/* The corrected value, which may be below 0. */
static double compute_unclipped(const esp_entropy_table *table, const esp_pair_counts *pair,
                                double *plug_in) {
  if (table->samples == 0) return 0;
  const double samples = (double)table->samples;
  const cell_sum xy = sum_joint(table, pair), x = sum_marginal(table, pair->x, pair->x_bins),
                 y = sum_marginal(table, pair->y, pair->y_bins);
  if (x.occupied == 1 || y.occupied == 1) return 0; // exactly, for dead units
  const double raw = log(samples) + (xy.n_log_n - (x.n_log_n + y.n_log_n)) / samples;
  const double bias = (double)(xy.occupied - x.occupied - y.occupied + 1) / (2 * samples);
  *plug_in = fmax(raw, 0);
  return raw - bias;
}

double esp_compute_information(const esp_entropy_table *table, const esp_pair_counts *pair,
                               double *plug_in) {
  double plain = 0;
  const double corrected = compute_unclipped(table, pair, &plain);
  if (plug_in) *plug_in = plain;
  return fmax(corrected, 0);
}

double esp_compute_information_unclipped(const esp_entropy_table *table,
                                         const esp_pair_counts *pair) {
  double plain = 0;
  return compute_unclipped(table, pair, &plain);
}

/* The numerator S sum C - (sum C[a]) (sum C[b]) is an exact integer. */
double esp_compute_code_covariance(const esp_pair_counts *pair, int64_t samples) {
  if (samples == 0) return 0;
  int64_t joint = 0, x = 0, y = 0;
  for (int a = 0; a < pair->x_bins - 1; a++) x += pair->x[a];
  for (int b = 0; b < pair->y_bins - 1; b++) y += pair->y[b];
  for (int cell = 0; cell < (pair->x_bins - 1) * (pair->y_bins - 1); cell++)
    joint += pair->joint[cell];
  const wide numerator = (wide)samples * joint - (wide)x * y;
  return (double)numerator / ((double)samples * (double)samples);
}
