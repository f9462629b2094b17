/* The rows of the table in allocations.c, and what they share. */
#ifndef ESPALIER_SELECT_ALLOCATIONS_H
#define ESPALIER_SELECT_ALLOCATIONS_H

#include "espalier/select/allocation.h"

extern const esp_allocation esp_allocation_uniform, esp_allocation_balanced, esp_allocation_global;

/* Fill got from the sites' n_kept. */
void allocation_measure(esp_allocation_job *job);
/* The same, and whether as much is gone as was asked for. */
bool allocation_is_enough(esp_allocation_job *job);
/* The fewest units that the caps leave. */
int64_t allocation_least(const esp_allocation_job *job, const esp_allocation_site *site);
/* The next smaller number of units. */
int64_t allocation_next(const esp_allocation_site *site, int64_t units);

#endif
