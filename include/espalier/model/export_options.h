/* Options of an export. */
#ifndef ESPALIER_MODEL_EXPORT_OPTIONS_H
#define ESPALIER_MODEL_EXPORT_OPTIONS_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/options.h"

ESP_C_BEGIN

typedef struct esp_export_options {
  int64_t max_shard_bytes; // of tensors a safetensors file
  char *source;            // folder of the original checkpoint; NULL: the one that was pruned
  const char *ignored;     // of the model's tensors (esp_model_open_ignoring), borrowed; NULL: none
} esp_export_options;
extern const esp_option_group esp_export_option_group;

ESP_C_END

#endif
