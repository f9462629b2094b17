/* Formats of checkpoints: each one file with one const object, gathered in tensors.c. */
#ifndef ESPALIER_SRC_IO_TENSORS_FORMAT_H
#define ESPALIER_SRC_IO_TENSORS_FORMAT_H

#include "espalier/io/tensors.h"

/* Both run on rank 0 alone. */
typedef struct esp_tensor_format {
  const char *name; // for messages
  bool (*probe)(const char *path);
  /* Fill config, details, tensors (without data, in any order) and files. On failure the set is
   * closed by the caller, whatever is in it. */
  esp_status (*open)(const char *path, esp_tensor_set *set);
} esp_tensor_format;

extern const esp_tensor_format esp_tensor_format_h5, esp_tensor_format_huggingface;

#endif
