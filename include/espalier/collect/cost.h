/* What a collection takes. */
#ifndef ESPALIER_COLLECT_COST_H
#define ESPALIER_COLLECT_COST_H

#include "espalier/collect/collect.h"
#include "espalier/core/c_linkage.h"
#include "espalier/core/cost.h"
#include "espalier/flow/shape.h"

ESP_C_BEGIN

/* Logits that are measured of a model. Local. */
int64_t esp_collect_count_logits(const esp_model *model, const esp_collect_options *options);
/* Rows that the Fisher information is computed from; 0: none is. Local. */
int64_t esp_collect_count_fisher_rows(const esp_model *model, const esp_collect_options *options,
                                      const esp_shard_shape *samples);

/* Run samples, open, through a model and write STATS.h5. Local. */
void esp_collect_add_cost(const esp_model *model, const esp_collect_options *options,
                          const esp_shard_shape *samples, esp_cost *cost);
/* Bytes of STATS.h5. Local. */
double esp_collect_file_bytes(const esp_model *model, const esp_collect_options *options,
                              const esp_shard_shape *samples);

ESP_C_END

#endif
