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
  *self = (esp_entropy_table){
      .n_log_n = ESP_NEW(double, count), .log_samples = log((double)samples), .samples = samples};
  for (int64_t n = 0; n < count; n++) self->n_log_n[n] = compute_n_log_n(n);
}

void esp_entropy_table_clear(esp_entropy_table *self) {
  esp_free(&self->n_log_n);
  *self = (esp_entropy_table){0};
}

/* |{x >= a and y >= b}| for a = 0..Bx and b = 0..By: the planes' joint counts, with their marginals
 * where a or b is 0, and nothing at Bx and By. */
typedef struct cumulative {
  int64_t counts[(ESP_MAX_BINS + 1) * (ESP_MAX_BINS + 1)]; // (Bx + 1, By + 1)
} cumulative;

static inline void accumulate(const esp_pair_counts *pair, int64_t samples, int x_bins, int y_bins,
                              cumulative *above) {
  int64_t *row = above->counts;
  row[0] = samples;
  for (int b = 1; b < y_bins; b++) row[b] = pair->y[b - 1];
  row[y_bins] = 0;
  for (int a = 1; a < x_bins; a++) {
    row += y_bins + 1;
    row[0] = pair->x[a - 1];
    for (int b = 1; b < y_bins; b++) row[b] = pair->joint[(a - 1) * (y_bins - 1) + b - 1];
    row[y_bins] = 0;
  }
  row += y_bins + 1;
  for (int b = 0; b <= y_bins; b++) row[b] = 0;
}

static inline int64_t get_cell(const cumulative *above, int y_bins, int a, int b) {
  const int64_t *row = above->counts + a * (y_bins + 1) + b, *next = row + y_bins + 1;
  return row[0] - next[0] - row[1] + next[1];
}

void esp_compute_histogram(const esp_pair_counts *pair, int64_t samples, int64_t *histogram) {
  cumulative above;
  accumulate(pair, samples, pair->x_bins, pair->y_bins, &above);
  for (int a = 0; a < pair->x_bins; a++)
    for (int b = 0; b < pair->y_bins; b++) *histogram++ = get_cell(&above, pair->y_bins, a, b);
}

static inline void add_cell(esp_cell_sum *sum, const esp_entropy_table *table, int64_t n) {
  sum->n_log_n += n <= TABLE_SAMPLES ? table->n_log_n[n] : compute_n_log_n(n);
  sum->occupied += n > 0;
}

static inline __attribute__((always_inline)) esp_cell_sum
sum_cells(const esp_entropy_table *table, const esp_pair_counts *pair, int x_bins, int y_bins) {
  cumulative above;
  esp_cell_sum sum = {0};
  accumulate(pair, table->samples, x_bins, y_bins, &above);
  for (int a = 0; a < x_bins; a++)
    for (int b = 0; b < y_bins; b++) add_cell(&sum, table, get_cell(&above, y_bins, a, b));
  return sum;
}

/* The default numbers of bins are constants, so that the loops are unrolled. */
static esp_cell_sum sum_joint(const esp_entropy_table *table, const esp_pair_counts *pair) {
  if (pair->x_bins == 4 && pair->y_bins == 4) return sum_cells(table, pair, 4, 4);
  return sum_cells(table, pair, pair->x_bins, pair->y_bins);
}

esp_cell_sum esp_sum_codes(const esp_entropy_table *table, const int64_t *marginals, int bins) {
  esp_cell_sum sum = {0};
  for (int a = 0; a < bins; a++)
    add_cell(&sum, table,
             (a == 0 ? table->samples : marginals[a - 1]) - (a == bins - 1 ? 0 : marginals[a]));
  return sum;
}

/* The corrected value, which may be below 0. */
static double compute_unclipped(const esp_entropy_table *table, const esp_pair_counts *pair,
                                double *plug_in) {
  if (table->samples == 0) return 0;
  const double samples = (double)table->samples;
  const esp_cell_sum x = pair->x_sum ? *pair->x_sum : esp_sum_codes(table, pair->x, pair->x_bins),
                     y = pair->y_sum ? *pair->y_sum : esp_sum_codes(table, pair->y, pair->y_bins);
  if (x.occupied == 1 || y.occupied == 1) return 0; // exactly, for dead units
  const esp_cell_sum xy = sum_joint(table, pair);
  const double raw = table->log_samples + (xy.n_log_n - (x.n_log_n + y.n_log_n)) / samples;
  const double bias = (double)(xy.occupied - x.occupied - y.occupied + 1) / (2 * samples);
  *plug_in = raw > 0 ? raw : 0;
  return raw - bias;
}

double esp_compute_information(const esp_entropy_table *table, const esp_pair_counts *pair,
                               double *plug_in) {
  double plain = 0;
  const double corrected = compute_unclipped(table, pair, &plain);
  if (plug_in) *plug_in = plain;
  return corrected > 0 ? corrected : 0;
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
