/* The command `collect`, and what `prune` makes of it when it collects first. */
#ifndef ESPALIER_COLLECT_COMMAND_H
#define ESPALIER_COLLECT_COMMAND_H

#include "espalier/collect/collect.h"
#include "espalier/core/c_linkage.h"
#include "espalier/core/run_options.h"
#include "espalier/flow/samples.h"

ESP_C_BEGIN

typedef struct esp_collect_settings {
  esp_run_options run;
  esp_data_options data;
  esp_collect_options collect;
  bool streams; // whether the residual stream is measured: --width, or as a pruning needs
} esp_collect_settings;

/* Describe a collection for STATS.h5: options, fingerprints, where the data was. A new reference.
 * Collective on comm; equal on all ranks: settings. */
json_t *esp_collect_describe(const esp_comm *comm, const esp_collect_settings *settings,
                             const esp_model *model, const esp_shard *shard);

/* esp_collect to path with these settings and the description above. Collective on comm; equal on
 * all ranks: settings, path. */
esp_status esp_collect_described(const esp_comm *comm, const esp_collect_settings *settings,
                                 esp_model *model, esp_shard *shard, const char *path);

/* What the command has done. */
typedef struct esp_collect_result {
  int64_t samples; // sequences or images
  json_t *run;     // times, memory and traffic (comm/phases.h), owned
} esp_collect_result;

/* Open model and data, and collect to settings->run.output. USAGE: no output named; what opening
 * and esp_collect can say. Collective on comm; equal on all ranks: settings, path. */
esp_status esp_collect_command(const esp_comm *comm, const esp_collect_settings *settings,
                               const char *path, esp_collect_result *result);

ESP_C_END

#endif
