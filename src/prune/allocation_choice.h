/* Which allocation `auto` means, and whether counts can be tried. */
#ifndef ESPALIER_SRC_PRUNE_ALLOCATION_CHOICE_H
#define ESPALIER_SRC_PRUNE_ALLOCATION_CHOICE_H

#include "job.h"

/* USAGE: the allocation named cannot be tried with this request. Local. */
esp_status allocation_check(const esp_prune_request *request);
/* Whether counts are to be tried, so far as the request says; and as the statistics say. Local. */
bool allocation_may_try(const esp_prune_request *request);
bool allocation_wants_samples(const prune_job *job);
/* Fill job->allocation: auto is balanced where the criterion is set-mi and counts can be tried on
 * the samples that are open, else uniform. USAGE: what was named needs others. Local, equal on all
 * ranks. */
esp_status allocation_choose(prune_job *job);

#endif
