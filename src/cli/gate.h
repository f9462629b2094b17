/* The gate of eval: models must be within a part of the first one's figure. */
#ifndef ESPALIER_SRC_CLI_GATE_H
#define ESPALIER_SRC_CLI_GATE_H

#include "espalier/eval/eval.h"

#include <jansson.h>

/* USAGE: a bound was given that is not for the models' figure, or with no model to hold against the
 * first. Nothing is measured yet. Local, equal on all ranks. */
esp_status gate_check(const esp_eval_options *options, esp_model *const *models, int n);
/* Hold what was measured (n; targets 0: nothing was) against the first: "ratio" and "within" in the
 * rows of all others. BEYOND names the models that are not within. Local, equal on all ranks. */
esp_status gate_judge(const esp_eval_options *options, esp_model *const *models, int n,
                      const esp_quality *qualities, json_t *rows);

#endif
