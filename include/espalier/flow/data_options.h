/* Options of the samples that a command reads. */
#ifndef ESPALIER_FLOW_DATA_OPTIONS_H
#define ESPALIER_FLOW_DATA_OPTIONS_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/options.h"

ESP_C_BEGIN

typedef struct esp_data_options {
  char *data, *split;  // path, or ESP_MAXIMUM_ENTROPY; "train" or "test"; NULL: not given
  int64_t micro_batch; // sequences or images; 0: chosen
  int64_t context;     // text: tokens of a row; 0: chosen
  bool pad;            // text: a row a document
  bool decode;         // tokens to text
  int64_t samples;     // sequences or images (of maximum entropy: tokens or images); 0: all
} esp_data_options;
extern const esp_option_group esp_data_option_group;

ESP_C_END

#endif
