/* Exact sums of outer products: fixed-point accumulators, so that a sum over micro-batches has the
 * same bits in whatever order and on however many ranks it is formed.
 *
 * sum(i, j) = sum over micro-batches of round(2^(f - e_i - g_j) sum_s a_si b_sj), f = 26 fraction
 * bits, with 2^e_i and 2^g_j the binary magnitudes of the columns as told by a pilot. The products
 * of one micro-batch are formed in float by fixed tiles (gemm.h), then added as int64. A sum may
 * exceed the pilot's by 2^36 in S x mean square before NUMERIC is returned; the rounding of one
 * micro-batch is below 2^-26 of the pilot's mean square. */
#ifndef ESPALIER_LINALG_EXACT_H
#define ESPALIER_LINALG_EXACT_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"

ESP_C_BEGIN

/* Caller's struct; all members but diagonal are read-only outside exact.c. */
typedef struct esp_exact {
  int64_t rows, cols;
  int64_t *sum;      // (rows, cols), fixed point, owned
  int *row_exponent; // (rows)
  int *col_exponent; // (cols)
  int64_t largest;   // largest magnitudes of all additions, summed: bounds every |sum|
  int64_t added;     // micro-batches added here
  bool symmetric;    // b was a: sum(i, j) stands at j >= i alone
  int64_t *diagonal; // (rows) that get what is added to sum(i, i) of a Gram matrix too, the
                     // caller's to set; NULL: none
} esp_exact;

/* Allocate zeroed sums for columns of root mean square row_rms (rows) and col_rms (cols); NULL
 * means 1. An rms far below the largest of its side (2^-12) or 0 is raised to that. Local. */
void esp_exact_init(esp_exact *self, int64_t rows, int64_t cols, const double *row_rms,
                    const double *col_rms);
/* Sums (rows, 1) of the scale of a Gram matrix's diagonal, whose sum can be its diagonal. Local. */
void esp_exact_init_diagonal(esp_exact *self, const esp_exact *gram);
void esp_exact_clear(esp_exact *self);

/* Add A^T B of one micro-batch: a (n, rows) and b (n, cols), row strides lda, ldb; b NULL stands
 * for a column of ones (cols must be 1). A Gram matrix (b is a, the same stride and pilot on both
 * sides) is formed as its upper half; all additions to one accumulator are Gram matrices or none
 * is. Same bits at any thread count. n 0 is fine. NUMERIC: a value is not finite or larger than the
 * pilot's by more than the head-room; the sums are of no use afterwards. Local. */
esp_status esp_exact_add_local(esp_exact *self, int64_t n, const float *a, int64_t lda,
                               const float *b, int64_t ldb);

/* Add the sums of all ranks, equal on all ranks afterwards. Call it once, after the last addition;
 * ranks without one take part. NUMERIC on all ranks if the total could have overflowed. Collective
 * on comm; equal on all ranks: self's sizes and scales. */
esp_status esp_exact_reduce(const esp_comm *comm, esp_exact *self);

/* Add another's sums, of the same shape and scale, both reduced: exact. Local. */
void esp_exact_merge(esp_exact *self, const esp_exact *other);

/* Return sum(i, j) as a double. Local. */
double esp_exact_get(const esp_exact *self, int64_t i, int64_t j);
/* All of rows [begin, end), (end - begin, cols); quickest for about 32 rows at a time. Local. */
void esp_exact_get_rows(const esp_exact *self, int64_t begin, int64_t end, double *values);

ESP_C_END

#endif
