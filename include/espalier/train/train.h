/* Data-parallel training of any model. A step's batch is cut into micro-batches of fixed size,
 * dealt whole to the ranks; their gradients are added as fixed-point integers (2^-40), so that the
 * trained weights have the same bits at any rank and thread count. docs/method/training.md. */
#ifndef ESPALIER_TRAIN_TRAIN_H
#define ESPALIER_TRAIN_TRAIN_H

#include "espalier/core/c_linkage.h"
#include "espalier/flow/masking.h"
#include "espalier/flow/objective.h"
#include "espalier/io/journal.h"
#include "espalier/model/model.h"
#include "espalier/train/options.h"
#include "espalier/train/policy_options.h"
#include "espalier/train/report.h"

ESP_C_BEGIN

/* What is trained, and on what. All is borrowed. */
typedef struct esp_train_request {
  esp_model *model;   // its trainable weights get values of their own
  esp_model *teacher; // NULL: none
  esp_model *rewind;  // whose weights a policy goes back to; NULL: none
  const esp_dataset *data;
  const esp_dataset *held_out; // NULL: every options->hold_out-th micro-batch of the data, if any
  const esp_train_options *options; // resolved (esp_train_options_resolve)
  const esp_policy_options *policy; // resolved (esp_policy_options_resolve); NULL: none
  const esp_masking *masking;       // of masked models; NULL: nothing is masked
  uint64_t seed;                    // of the order of samples
  const char *checkpoint;           // path; NULL: none is written
  const char *early;                // path of the weights of options->save_step; NULL: not written
  double save_every_s;              // least time between checkpoints
  int64_t state_bytes;              // of a rank's hidden states, but for one micro-batch; 0: chosen
  esp_journal *journal;             // says which run the checkpoint is of; NULL: none
} esp_train_request;

/* Train. The weights that are left are those that were best on held-out data, measured as they
 * would be written, the ones before the first step among them; without such data the last. A
 * checkpoint that the journal's run has left is gone on from. *report is the caller's to clear;
 * empty on failure. NUMERIC: diverged (step named); MISMATCH: the data does not fit the model;
 * USAGE: nothing to train, nothing to hold out, a teacher of other outputs; IO; INTERRUPTED: asked
 * to stop, or after options->stop_after steps. Collective on comm; equal on all ranks: request. */
esp_status esp_train(const esp_comm *comm, const esp_train_request *request,
                     esp_train_report *report);

/* Remove a checkpoint, once the trained model is safely written. Collective on comm: rank 0 acts.
 */
void esp_train_remove_checkpoint(const esp_comm *comm, const char *checkpoint);

ESP_C_END

#endif
