/* What a pruned model's report says of the one that it was cut from. */
#ifndef ESPALIER_SRC_TRAIN_ORIGIN_H
#define ESPALIER_SRC_TRAIN_ORIGIN_H

#include "espalier/model/model.h"

typedef struct origin {
  json_t *report;
  char *path;              // owned; NULL: nothing
  const char *fingerprint; // NULL: nothing
} origin;

/* Local. */
origin origin_read(const esp_model *model);
void origin_clear(origin *self);

#endif
