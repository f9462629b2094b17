/* Options of the run itself, which every command takes: where its result goes, its seed, how it is
 * gone on with. */
#ifndef ESPALIER_CORE_RUN_OPTIONS_H
#define ESPALIER_CORE_RUN_OPTIONS_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/options.h"

ESP_C_BEGIN

typedef struct esp_run_options {
  char *config, *output, *json; // paths; NULL: not given
  char *ignore_tensors;         // patterns of tensors that no weight uses; NULL: none
  int64_t seed;
  bool quiet, allow_idle; // allow_idle: more ranks than micro-batches are accepted
  bool restart;           // begin again whatever an interrupted run has left
  double save_every;      // s, least time between savings of what is finished
} esp_run_options;
extern const esp_option_group esp_run_option_group;

ESP_C_END

#endif
