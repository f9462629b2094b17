/* Gradients of the weights that train: of one micro-batch in float, summed over micro-batches, then
 * over ranks, stage by stage. */
#ifndef ESPALIER_SRC_TRAIN_GRADIENTS_H
#define ESPALIER_SRC_TRAIN_GRADIENTS_H

#include "parts.h"

/* The sums of one group. */
typedef struct gradient_sum {
  int group;       // -1: none
  bool is_active;  // the stage at hand adds to it
  bool is_empty;   // nothing was added yet: what stands in the sums is not theirs
  int64_t n;       // values there is room for
  float *micro;    // (n) of one micro-batch
  int64_t *fixed;  // (n) in units of 2^-40; NULL: floats are summed
  float *floating; // (n)
} gradient_sum;

/* Caller's struct. At a time two groups are summed at most: a stage's, and that of an embedding
 * which the head reads too. */
typedef struct train_gradients {
  const train_parts *parts; // borrowed
  gradient_sum sums[2];
  float **by_weight; // (n_weights) where a backward pass adds; NULL: not wanted now
  float *mean;       // (n_own) of what was reduced
  bool is_total;     // sums of several passes are added before their mean is taken
  int64_t *total;    // (n_own) that of integers, in units of 2^-40; NULL: one pass, or floats
  void *part;        // of a piece, what this rank gets of its sums
  float limit;       // magnitudes of a micro-batch from here on are refused
  double norm;       // of the last step's mean over all weights
} train_gradients;

/* Values that the two sums have room for: the largest stage's, and a shared embedding's. Local. */
void gradients_count(const train_parts *parts, int64_t n[2]);
/* Values that the part of a piece has room for, 8 bytes each: none where one rank has all. Local.
 */
int64_t gradients_count_part(const train_parts *parts);
/* most: micro-batches of a step; is_total: its sums are reduced in several passes. */
typedef struct gradients_options {
  int64_t most;
  bool is_floating, is_total;
} gradients_options;
void gradients_init(train_gradients *self, const train_parts *parts,
                    const gradients_options *options);
void gradients_clear(train_gradients *self);

/* Begin the sums of a group, or go on with them: the stage at hand adds to it. Local. */
void gradients_open_local(train_gradients *self, int group);
/* Add the micro-batch's gradients of the stage at hand to the sums, and zero them for the next.
 * False: one is not finite, or too large. Local. */
bool gradients_add_local(train_gradients *self);
/* Add the sums of all ranks, end them, and set this rank's part of the mean over so many targets;
 * of several passes, add to that of their total. Collective on comm. */
void gradients_reduce(const esp_comm *comm, train_gradients *self, int group, double targets);
/* Begin the total of several passes; set its mean over so many targets. Local. */
void gradients_begin_total_local(train_gradients *self);
void gradients_finish_total_local(train_gradients *self, double targets);
/* Set what masks hold at zero to zero, compute the norm, and scale the mean down to `most`, 0: not.
 * Collective on comm. */
void gradients_clip(const esp_comm *comm, train_gradients *self, double most);

#endif
