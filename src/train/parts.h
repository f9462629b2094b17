/* The weights that train, and how they are dealt: those of a stage stand one behind the other as a
 * group, groups are cut into pieces, and the blocks of a piece are dealt to the ranks. What a rank
 * has of all pieces is its part: gradients, optimiser state and best weights exist for it alone. */
#ifndef ESPALIER_SRC_TRAIN_PARTS_H
#define ESPALIER_SRC_TRAIN_PARTS_H

#include "espalier/model/model.h"

enum {
  PARTS_BLOCK = 4096,        // values: the unit of dealing, and of rounding of sums over values
  PARTS_PIECE = 1024 * 4096, // values of a piece, at most: what is reduced in one call
};

/* The weights of a stage: group stage + 1, so that the embedding's is 0. */
typedef struct parts_group {
  int64_t n; // values
  int first_piece, n_pieces;
} parts_group;

typedef struct parts_piece {
  int group;
  int64_t begin, n; // of the group's values
  int64_t *begins;  // (size + 1) within the piece: rank r has [begins[r], begins[r + 1])
  int64_t own;      // where this rank's part of it begins among all of its part
  int64_t first_value, first_block; // among those of all pieces
} parts_piece;

/* Values of one weight that this rank has, one behind the other. */
typedef struct parts_run {
  int weight;
  int64_t at, n; // in the weight
  int64_t own;   // where they begin among all of its part
  int64_t place; // where they begin among the values of all ranks
} parts_run;

/* Caller's struct. */
typedef struct train_parts {
  esp_model *model; // borrowed
  int rank, size, n_groups, n_pieces, n_runs;
  parts_run *runs;          // (n_runs) of this rank, by ascending own
  bool *trains, *is_masked; // (n_weights); masked: what is zero stays zero
  int64_t *offset;          // (n_weights) of a weight's values in its group
  parts_group *groups;      // (n_stages + 2)
  parts_piece *pieces;
  int64_t n_values, n_own, n_blocks; // of all; of this rank; blocks of all
} train_parts;

/* trains (n_weights) is taken over. Local, equal on all ranks but for what is this rank's. */
void parts_init(train_parts *self, const esp_comm *comm, esp_model *model, bool *trains);
void parts_clear(train_parts *self);

/* Values of a piece that lie in one weight. */
typedef struct parts_segment {
  int weight;
  int64_t at, n; // in the weight
  int64_t place; // in the piece
} parts_segment;
/* The segment of [from, to) of a piece that lies in a weight; false: none does. Local. */
bool parts_find_segment(const train_parts *self, const parts_piece *piece, int weight, int64_t from,
                        int64_t to, parts_segment *segment);
/* This rank's range of a piece. Local. */
static inline int64_t parts_own_begin(const train_parts *self, const parts_piece *piece) {
  return piece->begins[self->rank];
}
static inline int64_t parts_own_end(const train_parts *self, const parts_piece *piece) {
  return piece->begins[self->rank + 1];
}

/* The values of a run, in the weight. Local. */
static inline float *parts_find_values(const train_parts *self, const parts_run *run) {
  return self->model->weights[run->weight].value + run->at;
}

/* Copy this rank's part of the weights' values to own (n_own). Local. */
void parts_copy_own_local(const train_parts *self, float *own);
/* Set the weights' values from the parts of all ranks: own (n_own), or NULL: this rank's part of
 * the values themselves. Collective on comm. */
void parts_gather(const esp_comm *comm, const train_parts *self, const float *own);
/* The lowest stage that trains (ESP_STAGE_EMBED counts): the backward pass ends there. Local. */
int parts_find_lowest_stage(const train_parts *self);

#endif
