/* What is said where the numbers of a training have left their range. */
#ifndef ESPALIER_SRC_TRAIN_DIVERGED_H
#define ESPALIER_SRC_TRAIN_DIVERGED_H

#include "train_internal.h"

/* NUMERIC: it diverged in the step of this number; what was found, and which options to change.
 * Local. */
esp_status diverged_fail(const training *self, int64_t step, const char *found);
/* The same in place of status, the NUMERIC of a pass with the weights of a step; before the first
 * step, and for other codes, status and its text stay: then the model or the data are wrong.
 * Local. */
esp_status diverged_explain(const training *self, esp_status status, int64_t step,
                            const char *found);

#endif
