/* Rows of weights on their way to a file. All local. */
#ifndef ESPALIER_SRC_MODEL_ROWS_H
#define ESPALIER_SRC_MODEL_ROWS_H

#include "espalier/model/model.h"

/* Rows [begin, begin + count) of a weight, in its type. */
typedef struct weight_rows {
  const void *data;
  void *owned; // NULL: data is the mapping's
} weight_rows;

/* Take them: of values of the weight's own converted, else as they are stored, picked and masked,
 * without a look at the stage. NUMERIC: they are not finite in that type, or were not as stored. */
esp_status weight_rows_take(const esp_weight *weight, int64_t begin, int64_t count,
                            weight_rows *rows);
void weight_rows_clear(weight_rows *rows);

#endif
