/* Work on the rows of a matrix that no rank should repeat. */
#ifndef ESPALIER_SRC_SURGERY_DEAL_H
#define ESPALIER_SRC_SURGERY_DEAL_H

#include "espalier/comm/comm.h"
#include "espalier/core/cost.h"

enum { DEAL_ROWS = 128 }; // of a block

int64_t deal_count_blocks(int64_t rows);
/* Call work for each block of this rank, in order. Local. */
typedef void (*deal_work)(void *context, int64_t begin, int64_t count);
void deal_run_local(const esp_comm *comm, int64_t rows, deal_work work, void *context);
/* Put the blocks of all ranks together in place: values (rows, width). Collective; equal on all
 * ranks: rows, width. */
void deal_gather_rows(const esp_comm *comm, int64_t rows, int64_t width, float *values);
/* The sum over all blocks, in their order, of one number a block: parts (blocks), this rank's and 0
 * elsewhere; overwritten. Collective; equal on all ranks: rows. */
double deal_sum(const esp_comm *comm, int64_t rows, double *parts);
/* What gathering rows takes. */
void deal_add_cost(int ranks, double rows, double width, esp_cost *cost);

#endif
