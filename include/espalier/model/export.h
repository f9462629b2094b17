/* Any model -> a Hugging Face folder. */
#ifndef ESPALIER_MODEL_EXPORT_H
#define ESPALIER_MODEL_EXPORT_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"
#include "espalier/model/export_options.h"
#include "espalier/model/opening.h"

ESP_C_BEGIN

/* What was written; clear it by freeing source. */
typedef struct esp_export_result {
  const char *family; // static
  int64_t parameters;
  esp_model_files files; // of weights
  char *source;          // folder of the original checkpoint, owned; NULL: not known
  int n_copied;          // files of it
  bool has_layer_sizes;  // config.json has sizes that differ between layers
  esp_opening opening;
} esp_export_result;

/* Write config.json, safetensors (sharded above options->max_shard_bytes) and what belongs to the
 * model beside (io/companions.h) of the original checkpoint: options->source, else the folder that
 * the model is, else the one that a pruned file names; a warning if that is gone. The folder is
 * made as FOLDER.partial and renamed when complete. IO: FOLDER exists and is not empty, no such
 * source; what opening the model can say. Collective on comm; equal on all ranks: options, path,
 * folder. */
esp_status esp_export(const esp_comm *comm, const esp_export_options *options, const char *path,
                      const char *folder, esp_export_result *result);

ESP_C_END

#endif
