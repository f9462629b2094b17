/* Which units of a model have a gate that is not 0: some value that reads their activation is not
 * zero. */
#ifndef ESPALIER_SRC_TRAIN_GATES_H
#define ESPALIER_SRC_TRAIN_GATES_H

#include "espalier/model/model.h"

/* Write the numbers of a stage's open units, ascending, to kept (units); returns how many. The
 * weights have values. Local. */
int64_t gates_list_open(const esp_model *model, int stage, int64_t *kept);

/* Make the model that has the open units of all stages alone, with values of its own; it needs the
 * whole one no longer. FORMAT. kept[i] (units of stage i) and n_kept (n_stages) are filled. Local,
 * equal on all ranks. */
esp_status gates_cut(const esp_model *whole, int64_t *n_kept, int64_t **kept, esp_model **cut);

#endif
