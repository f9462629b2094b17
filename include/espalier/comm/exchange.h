/* Data that some ranks have and others need. */
#ifndef ESPALIER_COMM_EXCHANGE_H
#define ESPALIER_COMM_EXCHANGE_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"

ESP_C_BEGIN

typedef struct esp_row_range {
  int64_t begin, count;
} esp_row_range;

/* A matrix of 64-bit words whose columns are dealt to the ranks: each rank holds some words of
 * every row, and gets some rows whole. All arrays are borrowed. */
typedef struct esp_row_exchange {
  const uint64_t *from; // (all rows, from_stride): this rank's words of each row
  int64_t from_stride;
  const esp_row_range *ranges; // of rows that the ranks get, rank after rank
  const int64_t *first_range;  // (size + 1): those of rank r are [first_range[r], [r + 1])
  const int64_t *first_word;   // (size + 1): rank r's words are [first_word[r], [r + 1]) of a row
  uint64_t *to;                // (to_rows, to_stride): rows of this rank's ranges, in their order
  int64_t to_rows, to_stride;
} esp_row_exchange;

/* Get the rows of this rank's ranges whole. Collective on comm; equal on all ranks: ranges,
 * first_range, first_word. */
void esp_exchange_rows(const esp_comm *comm, const esp_row_exchange *job);

/* Take an array from one rank to another; nothing where they are the same. Only these two wait.
 * Collective on comm; equal on all ranks: count (below 2^31), from, to. */
void esp_transfer_i32(const esp_comm *comm, int32_t *values, int64_t count, int from, int to);

ESP_C_END

#endif
