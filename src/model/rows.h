/* Rows of weights on their way to a file. All local. */
#ifndef ESPALIER_SRC_MODEL_ROWS_H
#define ESPALIER_SRC_MODEL_ROWS_H

#include "espalier/model/model.h"

/* Load a stage's weights and check that this rank's block of the rows of each is finite in the type
 * that it is written in. NUMERIC. Local. */
esp_status model_load_rows_local(const esp_comm *comm, esp_model *model, int stage);

/* Rows [begin, begin + count) of a loaded weight, in the weight's type; owned by the caller. */
void *weight_convert_rows(const esp_weight *weight, int64_t begin, int64_t count);

#endif
