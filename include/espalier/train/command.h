/* The commands `train` and `recover`: open, train, write. */
#ifndef ESPALIER_TRAIN_COMMAND_H
#define ESPALIER_TRAIN_COMMAND_H

#include "espalier/comm/phases.h"
#include "espalier/core/c_linkage.h"
#include "espalier/core/run_options.h"
#include "espalier/flow/data_options.h"
#include "espalier/train/train.h"

ESP_C_BEGIN

typedef struct esp_train_settings {
  esp_run_options run;
  esp_data_options data;
  esp_network_options network;
  esp_train_options train;
  esp_policy_options policy;
  const esp_option_table *given; // whose origins tell what was given, borrowed; what nothing reads
                                 // of that is warned of; NULL: nothing is
} esp_train_settings;

/* What the command has done. */
typedef struct esp_train_result {
  esp_train_report report;
  json_t *run; // times, memory and traffic (comm/phases.h), owned
} esp_train_result;
void esp_train_result_clear(esp_train_result *self);

/* Train what path names: a model; a configuration (.json), whose model gets random weights; NULL: a
 * perceptron of settings->network. Write settings->run.output, which has what the model's file says
 * beside its weights (kept units, scores, report), and the training. recover: path is a pruned
 * model, and the teacher the one that its report names. The same command goes on after it was
 * interrupted. USAGE: no output, no data, no mask token; MISMATCH: the dense model has changed, an
 * interrupted training of other options; what esp_train says. Collective on comm; equal on all
 * ranks: settings, path. */
esp_status esp_train_command(const esp_comm *comm, const esp_train_settings *settings,
                             esp_train_purpose purpose, const char *path, esp_train_result *result);

ESP_C_END

#endif
