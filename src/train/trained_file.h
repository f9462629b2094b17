/* The file of a trained model. */
#ifndef ESPALIER_SRC_TRAIN_TRAINED_FILE_H
#define ESPALIER_SRC_TRAIN_TRAINED_FILE_H

#include "espalier/train/command.h"

/* The options as they are stored: without how the run was conducted. A new reference. Local. */
json_t *trained_dump_options(const esp_train_settings *settings);

/* Write the model, its training, and what its file said beside weights: kept units, scores, report.
 * IO, NUMERIC. Collective on comm; equal on all ranks: all that goes in. */
esp_status trained_write(const esp_comm *comm, const esp_train_settings *settings,
                         esp_train_purpose purpose, esp_model *model,
                         const esp_train_report *report);

#endif
