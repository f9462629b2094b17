/* What a policy takes beside the training that it is part of. */
#ifndef ESPALIER_SRC_TRAIN_POLICY_COST_H
#define ESPALIER_SRC_TRAIN_POLICY_COST_H

#include "policy.h"

#include "espalier/core/cost.h"

/* Arrays of this rank's part that stay; bytes of a value in a checkpoint. Local. */
double policy_held_bytes(const training *self);
double policy_saved_bytes(const training *self);
/* Forward and backward passes of a batch before the first step. Local. */
int64_t policy_count_passes(const training *self);
/* Gathers of all weights before the first step: behind each round, and of what it begins with.
 * Local. */
int64_t policy_count_gathers(const training *self);
/* The model in the file that is written: frozen matrices of a new one are a seed there. Local. */
double policy_file_bytes(const training *self);
/* Rankings: traffic and work of all changes of the masks, and what stands meanwhile. Local. */
void policy_add_cost(const training *self, int ranks, esp_cost *cost);

#endif
