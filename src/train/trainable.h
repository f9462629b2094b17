/* Which weights train. */
#ifndef ESPALIER_SRC_TRAIN_TRAINABLE_H
#define ESPALIER_SRC_TRAIN_TRAINABLE_H

#include "espalier/model/model.h"

/* Resolve `asked` to trains (n_weights): a set of the table in trainable.c, or names of weights
 * with wildcards and commas between them. USAGE: it names nothing that the model has. Local. */
esp_status trainable_resolve(const esp_model *model, const char *asked, bool *trains);

/* Whether the elements of a weight that are zero stay so: it is masked. Local. */
bool trainable_is_masked(const esp_model *model, int weight);

#endif
