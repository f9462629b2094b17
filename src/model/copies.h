/* Weights that a checkpoint of a tied head may store twice. */
#ifndef ESPALIER_MODEL_COPIES_H
#define ESPALIER_MODEL_COPIES_H

#include "espalier/model/family.h"

/* Whether the checkpoint of a tied head has any of its copies; the same on all ranks. Local. */
bool copies_are_stored(const esp_model *model);
/* The first copy that differs from the weight that it stands for; NULL: none. Reads both, a block
 * at a time. Local. */
const esp_copy *copies_find_other(const esp_model *model);
/* The tensor that a weight of this name is read from where its own is not stored; NULL: none, or
 * the configuration left no copies. Local. */
const esp_tensor *copies_find_tensor(const esp_model *model, const char *name);

#endif
