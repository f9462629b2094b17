/* Formats of data sets: each one file with one const object, gathered in dataset.c. */
#ifndef ESPALIER_SRC_IO_DATASET_FORMAT_H
#define ESPALIER_SRC_IO_DATASET_FORMAT_H

#include "espalier/io/dataset.h"

/* Both run on rank 0 alone. */
typedef struct esp_dataset_format {
  const char *name;
  const char *holds; // how it is known, for messages
  bool (*probe)(const char *path);
  /* Fill kind, count, width, classes, largest ids, fingerprint and the arrays. On failure the data
   * set is closed by the caller, whatever is in it. */
  esp_status (*open)(const char *path, const char *split, esp_dataset *dataset);
} esp_dataset_format;

/* Fill kind, classes, largest ids and fingerprint of tokens, whose count, width and arrays are
 * there: the same of a token file and of text. */
void dataset_describe_tokens(esp_dataset *dataset);

/* Make one sample of a data set of maximum entropy: pixels or tokens (width), the other NULL. */
void entropy_fill(const esp_dataset *dataset, int64_t sample, float *pixels, int32_t *tokens);

extern const esp_dataset_format esp_dataset_format_idx, esp_dataset_format_tokens,
    esp_dataset_format_text;

#endif
