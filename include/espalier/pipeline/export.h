/* Any model -> a Hugging Face folder. */
#ifndef ESPALIER_PIPELINE_EXPORT_H
#define ESPALIER_PIPELINE_EXPORT_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"
#include "espalier/pipeline/settings.h"

ESP_C_BEGIN

/* Write config.json, safetensors (sharded above settings->max_shard_bytes) and the tokenizer and
 * other small files of the original checkpoint: settings->source, else the folder that the model
 * is, else the one that a pruned file names; a warning if that is gone. The folder is made as
 * FOLDER.partial and renamed when complete. *report (a new reference): "model", "output", "family",
 * "parameters", "weight_files", "weight_bytes", "source" (text or null), "copied_files",
 * "per_layer_sizes" (whether config.json has sizes that differ between layers). IO: FOLDER exists
 * and is not empty, no such source; what opening the model can say. Collective. */
esp_status esp_export(const esp_comm *comm, const esp_settings *settings, const char *path,
                      const char *folder, json_t **report);

ESP_C_END

#endif
