/* An objective over many micro-batches, without a backward pass: the one place where a loss of a
 * data set is computed. */
#ifndef ESPALIER_FLOW_MEASURE_H
#define ESPALIER_FLOW_MEASURE_H

#include "espalier/core/c_linkage.h"
#include "espalier/flow/objective.h"
#include "espalier/flow/shard.h"

ESP_C_BEGIN

typedef struct esp_measurement {
  esp_model *model, *teacher; // borrowed; teacher NULL: none
  const esp_objective *objective;
  const esp_objective_options *options; // NULL: the objective's own
  int64_t state_bytes;                  // of hidden states (flow/chunk.h); 0: chosen
  int64_t *each; // (n_batches, 2) gets loss (2^-20 units) and targets of this rank's micro-batches;
                 // NULL: not wanted
} esp_measurement;

/* Add this rank's micro-batches of a shard to the tally. NUMERIC: a weight or a loss is not finite.
 * Local. */
esp_status esp_measure_local(const esp_measurement *self, esp_shard *shard, esp_tally *tally);

ESP_C_END

#endif
