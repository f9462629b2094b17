/* What the files of training share. */
#ifndef ESPALIER_SRC_TRAIN_TRAIN_INTERNAL_H
#define ESPALIER_SRC_TRAIN_TRAIN_INTERNAL_H

#include "gradients.h"
#include "held_out.h"
#include "optimizer.h"
#include "pruning.h"
#include "schedule.h"

#include "espalier/flow/stream.h"
#include "espalier/train/train.h"

/* What a checkpoint holds beside arrays: how far a training has got. */
typedef struct train_progress {
  int64_t step;      // steps made
  esp_tally tally;   // of the steps since the last point, of all ranks
  int64_t best_step; // of the best weights; -1: none yet
  double best;       // their loss on held-out data
  double lowest;     // of all points, clearly better than the first or not
  int64_t without;   // evaluations since
  bool is_stopped;   // there were enough of those
  int64_t retries;   // made
} train_progress;

/* A training under way. */
typedef struct training {
  const esp_comm *comm;
  const esp_train_request *request;
  const optimizer *method;
  const esp_objective *objective;
  schedule_shape schedule;
  train_parts parts;
  train_gradients gradients;
  train_pruning pruning;
  float *slots[MOST_SLOTS]; // (n_own) the optimiser's
  float *best;              // (n_own) best weights so far; NULL: nothing is held out
  esp_shard shard;          // of the samples that train, in the order of the epoch
  esp_masking masking;
  int64_t n_samples, *samples; // that train, owned
  int64_t epoch;               // whose order the shard has; -1: none
  int64_t per_epoch, evaluate_every;
  int64_t n_passes, per_pass; // of a step; a rank's micro-batches of one, at most
  esp_stream stream, taught;  // of the model, keeping states; of the teacher
  float *logits, *teacher_logits;
  double cooling; // the model's logits are divided by it; 0: as they are
  train_held_out held;
  train_progress progress;
  esp_train_report report;
} training;

/* Shuffle the samples that train anew for an epoch. Local, equal on all ranks. */
void order_set_epoch(training *self, int64_t epoch);

/* Choose the passes of a step: as few as the states leave room for. Local, equal on all ranks. */
void pass_lay_out_local(training *self);
/* A step's forward and backward passes: this rank's micro-batches of samples [begin, end) of the
 * epoch's order, and the mean gradient. tally gets what all ranks measured. NUMERIC: it
 * diverged. Collective. */
esp_status pass_run(training *self, esp_sample_range samples, esp_tally *tally);
/* What it works in. */
void pass_init(training *self);
void pass_clear(training *self);

/* Write how far it has got; go on from there, *found: there was something. IO, FORMAT. Collective.
 */
esp_status checkpoint_save(const training *self);
esp_status checkpoint_load(training *self, bool *found);
/* Of one. Local. */
double checkpoint_count_bytes(const training *self);

/* What follows from the request alone: parts, what is held out, and the schedule; ranks are those
 * of comm, which may be pretended. What esp_train says. Local, equal on all ranks. */
esp_status train_lay_out_local(training *self);
void train_clear_layout(training *self);

/* Begin a training, as far as its first step: weights have values of their own; nothing is to be
 * closed on failure. What esp_train says. Collective on comm; equal on all ranks: request. */
esp_status train_open(training *self, const esp_comm *comm, const esp_train_request *request);
void train_close(training *self);

/* What esp_train says of a request before it begins. Local. */
esp_status check_request_local(const esp_train_request *request);
/* Make all steps, from where a checkpoint has it, and leave the best weights. Collective. */
esp_status steps_run(training *self);

#endif
