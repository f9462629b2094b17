/* The file of a trained model. */
#ifndef ESPALIER_SRC_TRAIN_TRAINED_FILE_H
#define ESPALIER_SRC_TRAIN_TRAINED_FILE_H

#include "espalier/train/command.h"

/* The options as they are stored: without how the run was conducted. A new reference. Local. */
json_t *trained_dump_options(const esp_train_settings *settings);

/* What was trained. All is borrowed. */
typedef struct trained_model {
  const esp_train_settings *settings;
  esp_train_purpose purpose;
  esp_model *model;     // as it was read, or made, and trained
  uint64_t fingerprint; // of what was read; of a new model not used
  const esp_train_report *report;
} trained_model;

/* Write the model, its training, and what its file said beside weights: kept units, scores, report.
 * Where a policy has pruned units, the smaller model, and the units that it keeps of what was read.
 * IO, NUMERIC, FORMAT. Collective on comm; equal on all ranks: all that goes in. */
esp_status trained_write(const esp_comm *comm, const trained_model *self);

#endif
