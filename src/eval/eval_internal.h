/* What the files of eval share. */
#ifndef ESPALIER_SRC_EVAL_EVAL_INTERNAL_H
#define ESPALIER_SRC_EVAL_EVAL_INTERNAL_H

#include "espalier/eval/eval.h"
#include "espalier/flow/shard.h"

/* Whole micro-batches of the data dealt to this rank. Local. */
esp_sample_range eval_deal_local(const esp_comm *comm, const esp_dataset *data);

/* A shard of these samples, in micro-batches of the size of evaluations. Local. */
void eval_shard_init(esp_shard *self, const esp_dataset *data, esp_sample_range samples);

#endif
