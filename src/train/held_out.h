/* What is held out: which samples train and which do not, and the loss on the latter. */
#ifndef ESPALIER_SRC_TRAIN_HELD_OUT_H
#define ESPALIER_SRC_TRAIN_HELD_OUT_H

#include "parts.h"

#include "espalier/flow/shard.h"
#include "espalier/train/train.h"

/* Caller's struct. */
typedef struct train_held_out {
  const esp_train_request *request;
  const esp_objective *objective; // NULL: nothing is held out
  esp_masking masking;            // the same at every evaluation
  esp_shard shard;                // dealt
  int64_t targets;                // of the last evaluation
  double unit;                    // of its losses, in nats
  int64_t *now, *before; // (n_batches, 2) of every micro-batch, loss in 2^-20 and targets: of the
                         // last evaluation, and of the one that others are compared with
} train_held_out;

/* How the loss has changed. */
typedef struct held_out_change {
  double mean, error;
} held_out_change;

/* Samples of the data that train, all where others are held out (NULL: none are). Local. */
int64_t held_out_count_rest_local(const esp_train_options *options, const esp_dataset *data,
                                  const esp_dataset *other);
/* Share the data out: *samples (*n), owned by the caller, are those that train. USAGE: too few to
 * hold any out. Local, equal on all ranks. */
esp_status held_out_init_local(const esp_comm *comm, train_held_out *self,
                               const esp_train_request *request, int64_t **samples, int64_t *n);
void held_out_clear(train_held_out *self);

/* The loss, nats a target, of the weights as they would be written; they are left as they were.
 * NUMERIC. Collective on comm. */
esp_status held_out_measure(const esp_comm *comm, train_held_out *self, const train_parts *parts,
                            double *loss);
/* Take the last evaluation as the one that others are compared with. Local. */
void held_out_keep_local(train_held_out *self);
/* The mean change of the loss since that one, nats a target, and its standard error: infinite where
 * there is only one micro-batch. Local, equal on all ranks. */
held_out_change held_out_compare_local(const train_held_out *self);
/* Whether the loss is below that one by more than three standard errors; with one micro-batch,
 * whose error is not known, whether it is below. Local, equal on all ranks. */
bool held_out_is_clear_local(const train_held_out *self);
/* Whether a weight trains, and is written in another type than float32. Local. */
bool held_out_rounds(const train_parts *parts, int weight);
/* Round the weights that train to the types in which they are written. Local. */
void held_out_round_local(const train_parts *parts);

#endif
