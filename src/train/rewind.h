/* Other values for the weights that train, before the first step. */
#ifndef ESPALIER_SRC_TRAIN_REWIND_H
#define ESPALIER_SRC_TRAIN_REWIND_H

#include "train_internal.h"

/* MISMATCH: request->rewind has other weights than the model. Local. */
esp_status rewind_check_local(const training *self);
/* Take those of request->rewind. NUMERIC. Collective. */
esp_status rewind_to_model(training *self);
/* Take the family's own initial ones, of another random stream than a new model's. Collective. */
esp_status rewind_to_random(training *self);

#endif
