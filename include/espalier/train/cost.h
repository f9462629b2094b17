/* What a training takes, before it runs. */
#ifndef ESPALIER_TRAIN_COST_H
#define ESPALIER_TRAIN_COST_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/cost.h"
#include "espalier/train/command.h"

ESP_C_BEGIN

/* All steps are counted: how many fewer a training makes that stops early shows only as it goes. */
typedef struct esp_train_sizes {
  int64_t samples, held_out;    // that train; that are measured
  int64_t rows;                 // of the former, padding included
  int64_t micro_batches, share; // of a step; rank 0's, which has the most
  int64_t steps, evaluations;
  int64_t parameters, trainable;
} esp_train_sizes;

/* Of rank 0. Steps and evaluations include what is held throughout; data sets are the caller's. */
typedef struct esp_train_cost {
  esp_train_sizes sizes;
  esp_cost steps, evaluations, write;
  double values_bytes;     // weights with values of their own, which stay
  double data_bytes;       // of a command: its data sets
  double model_bytes;      // of the weights in the file
  double trained_bytes;    // of a command: of its file
  double checkpoint_bytes; // of a checkpoint
  esp_cost opening;        // of a command: model, teacher and data
} esp_train_cost;

/* The costs of request on so many ranks. Weights of the model need no values; those that are final
 * have their own. What esp_train says before the first step. Local. */
esp_status esp_train_compute_cost(const esp_train_request *request, int ranks,
                                  esp_train_cost *cost);

/* Of a command, from its settings: opens what it would open, and writes nothing. What
 * esp_train_command says. Collective on comm; equal on all ranks: settings, path. */
esp_status esp_train_command_cost(const esp_comm *comm, const esp_train_settings *settings,
                                  esp_train_purpose purpose, const char *path, int ranks,
                                  esp_train_cost *cost);

ESP_C_END

#endif
