/* Seconds of the parts of a model on this machine: what a budget of time is searched by. */
#ifndef ESPALIER_EVAL_STAGE_TIME_H
#define ESPALIER_EVAL_STAGE_TIME_H

#include "espalier/core/c_linkage.h"
#include "espalier/model/model.h"

ESP_C_BEGIN

/* Time a stage (ESP_STAGE_EMBED: the embedding, n_stages: the head) on a pass of 256 images, or of
 * a sequence of 256 tokens, or as many as the model takes: the fastest of some runs. The model has
 * been made from a configuration; the part's weights get small values of their own, since times do
 * not depend on them. Local. */
double esp_eval_time_stage(esp_model *shape, int stage);
/* Whether two stages do the same work. Local. */
bool esp_eval_is_same_work(const esp_stage *a, const esp_stage *b);
/* A pass through a model of such a configuration: the sum over its parts, those of one work timed
 * once. Local. */
double esp_eval_time_parts(json_t *config);

ESP_C_END

#endif
