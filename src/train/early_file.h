/* The weights behind a step, as a model: what lottery tickets go back to. */
#ifndef ESPALIER_SRC_TRAIN_EARLY_FILE_H
#define ESPALIER_SRC_TRAIN_EARLY_FILE_H

#include "train_internal.h"

/* USAGE: the training has fewer steps. Local. */
esp_status early_check_local(const training *self);
/* Where a training goes on: IO: it is behind that step, and the file has gone. Collective. */
esp_status early_check_file(const training *self);
/* Write it, if this is the step: the smaller model where a policy prunes units. IO, NUMERIC.
 * Collective. */
esp_status early_write_if_due(const training *self);

#endif
