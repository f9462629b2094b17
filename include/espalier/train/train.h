/* Data-parallel training. A batch is cut into micro-batches of fixed size, dealt whole to the
 * ranks; their gradients are added as fixed-point integers (2^-40), so that the trained weights
 * have the same bits at any rank and thread count. docs/method/training.md. */
#ifndef ESPALIER_TRAIN_TRAIN_H
#define ESPALIER_TRAIN_TRAIN_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/options.h"
#include "espalier/io/dataset.h"
#include "espalier/model/model.h"

ESP_C_BEGIN

typedef struct esp_train_options {
  int64_t epochs, batch, micro_batch; // batch and micro_batch in samples
  char *optimizer;                    // "adamw" or "sgd"
  double rate;                        // peak learning rate
  double warmup;       // fraction of all steps with linear warm-up; cosine to 0 after
  double weight_decay; // decoupled, on matrices only
  double momentum;     // sgd; adamw's first moment
  uint64_t seed;
  const char *checkpoint; // path, written after every epoch but the last; NULL: none
  bool resume;            // go on from the checkpoint if it is there
  int64_t stop_after;     // epochs in all, then checkpoint and INTERRUPTED; 0: run to the end
} esp_train_options;
/* The options of the command line: epochs, batch, optimizer, rate, warmup, weight_decay, momentum;
 * the others are the run's. */
extern const esp_option_group esp_train_option_group;

/* The network that is made and trained. */
typedef struct esp_network_options {
  char *hidden, *activation; // sizes of the hidden layers, comma-separated; non-linearity
} esp_network_options;
extern const esp_option_group esp_network_option_group;

/* Train a model whose weights are its own. report gets epochs, steps, loss and accuracy of the last
 * epoch. NUMERIC: diverged (step named); MISMATCH: the data does not fit the model, or a checkpoint
 * of other options, model or data; USAGE: unknown optimizer, a family that cannot be trained; IO;
 * INTERRUPTED. Collective on comm; equal on all ranks: model, data, options. */
esp_status esp_train(const esp_comm *comm, esp_model *model, const esp_dataset *data,
                     const esp_train_options *options, json_t *report);

/* Remove the checkpoint, once the trained model is safely written. Collective on comm: rank 0 acts;
 * equal on all ranks: options. */
void esp_train_remove_checkpoint(const esp_comm *comm, const esp_train_options *options);

ESP_C_END

#endif
