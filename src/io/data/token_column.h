/* One data set of a token file: its shape, its type and its values checked as it is read. */
#ifndef ESPALIER_SRC_IO_TOKEN_COLUMN_H
#define ESPALIER_SRC_IO_TOKEN_COLUMN_H

#include "espalier/io/dataset.h"
#include "h5_internal.h"

typedef struct token_reader {
  esp_h5 *file;
  const char *path;
  int64_t dims[2]; // N, T
} token_reader;

/* Its name, its dimensions and the range of its values. */
typedef struct token_column {
  const char *name;
  int rank;
  int64_t low, high;
} token_column;

/* Read integers of any width and byte order, which must lie in the range; *values is the caller's.
 * FORMAT: others, another shape, floating point. */
esp_status token_column_read(const token_reader *self, const token_column *what, int32_t **values);
/* Read all integers of a data set as int64; those above its range come as INT64_MAX. */
esp_status token_integers_read(const token_reader *self, const char *name,
                               const esp_h5_numbers *numbers, int64_t *words);
/* Read /labels into the data set: (N) or (N, 1) integers from 0 up are labels, all other finite
 * numbers, (N) or (N, C), are targets. FORMAT. */
esp_status token_labels_read(const token_reader *self, esp_dataset *dataset);
/* FORMAT where the tokens are one repeated, or many sequences end (or begin) as padded ones do and
 * nothing says so; a warning where a few do. */
esp_status token_padding_check(const token_reader *self, const esp_dataset *dataset);

#endif
