/* What an evaluation takes. */
#ifndef ESPALIER_EVAL_COST_H
#define ESPALIER_EVAL_COST_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/cost.h"
#include "espalier/eval/eval.h"

ESP_C_BEGIN

/* The samples that are evaluated on. */
typedef struct esp_eval_shape {
  int ranks;
  esp_data_kind kind;
  int64_t tokens; // rows of a sample; 1: images
  double rows;    // of all samples
} esp_eval_shape;

/* Take the loss of all rows; the data set is the caller's. Local. */
void esp_eval_add_quality_cost(const esp_model *model, const esp_eval_shape *shape, esp_cost *cost);
/* Time passes of so many rows with all weights loaded: memory alone. Local. */
void esp_eval_add_speed_cost(const esp_model *model, double rows, esp_cost *cost);

ESP_C_END

#endif
