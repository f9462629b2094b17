/* Which units are dropped first, of those that live. */
#ifndef ESPALIER_SRC_TRAIN_POLICIES_DROP_RULES_H
#define ESPALIER_SRC_TRAIN_POLICIES_DROP_RULES_H

#include "policy.h"

/* USAGE: by units alone; set-mi ranks a site, not all sites together. Local. */
esp_status drop_rules_check_local(const training *self);
/* Standing of units (units.n): the lowest of those that live are dropped. Behind a step's pass,
 * whose samples are read. NUMERIC. Collective. */
esp_status drop_rules_rank(training *self, double *standing);

/* What that takes, so many times. Local. */
void drop_rules_add_cost(const training *self, int ranks, double times, esp_cost *cost);

/* |w|, a mean over the values that make a unit and that read it (units.n). Collective on comm. */
void drop_rules_measure_magnitudes(const esp_comm *comm, const train_pruning *self, double *means);

#endif
