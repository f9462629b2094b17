/* Two triangles over the features of a site, by blocks of columns that the ranks of a team hold in
 * turn: block b is with rank b % size. The lower one, A, and the upper one, Q, share one array,
 * column-major with F + 1 rows, so that both take 8 F (F + 1) bytes, divided by the ranks.
 *
 * The first rank of a team holds what is known of the site and decides; the others hold columns. A
 * team of NULL is this process alone, without MPI: all functions are then local. Otherwise those
 * that are not marked as local are collective on the team, and equal on all ranks but for data. */
#ifndef ESPALIER_SRC_SELECT_BLOCK_COLUMNS_H
#define ESPALIER_SRC_SELECT_BLOCK_COLUMNS_H

#include "espalier/comm/comm.h"

enum { BLOCK_COLUMNS = 128 };

typedef struct block_columns {
  const esp_comm *team; // borrowed
  int64_t stride;       // F + 1
  int64_t n;
  int64_t *begin; // (n + 1): the first column of each, and how many columns there are
  double *stored; // (stride, columns of blocks here)
} block_columns;

void block_columns_init(block_columns *self, const esp_comm *team, int64_t features);
void block_columns_clear(block_columns *self);
/* Bytes that the first of so many ranks holds, which has the most. Local. */
double block_columns_bytes(int64_t features, int ranks);

/* The place in the team. Local. */
static inline int team_rank_local(const esp_comm *team) {
  return team ? team->rank : 0;
}
static inline int team_size_local(const esp_comm *team) {
  return team ? team->size : 1;
}
/* Bytes of root's to all. Collective on team. */
void team_bcast(const esp_comm *team, void *data, int64_t bytes, int root);
/* The failure of any. Collective on team. */
esp_status team_agree(const esp_comm *team, esp_status mine);
/* Numbers of which each place has one rank's and is 0 elsewhere, put together on the first rank.
 * Collective on team. */
void team_gather(const esp_comm *team, double *values, int64_t count);

/* Where row 0 of a block's first column lies, A(0, begin) or Q(0, begin); NULL: on another rank.
 * A's elements are from the diagonal on, Q's up to it. Local. */
double *block_columns_lower(const block_columns *self, int64_t block);
double *block_columns_upper(const block_columns *self, int64_t block);
static inline int64_t block_columns_count(const block_columns *self, int64_t block) {
  return self->begin[block + 1] - self->begin[block];
}

/* Bring a block of A to all ranks, rows from its first column on: (rows, columns), 0 above the
 * diagonal. */
void block_columns_share(const block_columns *self, int64_t block, double *panel);

#endif
