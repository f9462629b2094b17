/* Mutual information, in nats, and covariance of codes from joint counts. Local and pure. */
#ifndef ESPALIER_INFORMATION_INFORMATION_H
#define ESPALIER_INFORMATION_INFORMATION_H

#include "espalier/core/c_linkage.h"

#include <stdint.h>

ESP_C_BEGIN

/* n log n for n = 0..S by table up to 2^22 samples, computed beyond. */
typedef struct esp_entropy_table {
  double *n_log_n; // (min(S, 2^22) + 1), owned
  double log_samples;
  int64_t samples; // S
} esp_entropy_table;

void esp_entropy_table_init(esp_entropy_table *self, int64_t samples);
void esp_entropy_table_clear(esp_entropy_table *self);
/* Numbers in the table of so many samples. */
int64_t esp_entropy_table_count(int64_t samples);

/* sum n log n over a histogram, and its occupied cells: S log S - sum is S times the entropy. */
typedef struct esp_cell_sum {
  double n_log_n;
  int occupied;
} esp_cell_sum;

/* The sum over a unit's codes, of its planes' marginals (bins - 1). */
esp_cell_sum esp_sum_codes(const esp_entropy_table *table, const int64_t *marginals, int bins);

/* A pair: C (Bx-1, By-1) with the planes' marginals (Bx-1) and (By-1), bins Bx and By. */
typedef struct esp_pair_counts {
  const int32_t *joint;
  const int64_t *x, *y;
  int x_bins, y_bins;
  const esp_cell_sum *x_sum, *y_sum; // of esp_sum_codes, if they are known, else NULL
} esp_pair_counts;

/* Difference C into the (Bx, By) histogram; cells sum to S. */
void esp_compute_histogram(const esp_pair_counts *pair, int64_t samples, int64_t *histogram);

/* I(x;y) with the Miller-Madow correction -(R_xy - R_x - R_y + 1) / (2S), R occupied cells, clipped
 * at 0. plug_in, if not NULL, gets the value without correction. */
double esp_compute_information(const esp_entropy_table *table, const esp_pair_counts *pair,
                               double *plug_in);

/* The same corrected value without the clip: parts that are added up before they are clipped would
 * be too large on average. */
double esp_compute_information_unclipped(const esp_entropy_table *table,
                                         const esp_pair_counts *pair);

/* cov(code x, code y) = sum_ab (C[a,b]/S - C[a] C[b]/S^2), codes being bin numbers 0..B-1. */
double esp_compute_code_covariance(const esp_pair_counts *pair, int64_t samples);

ESP_C_END

#endif
