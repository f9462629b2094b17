#ifndef ESPALIER_SRC_PRUNE_SELECTION_H
#define ESPALIER_SRC_PRUNE_SELECTION_H

#include "job.h"

/* Clear what there is of a selection, and let every structure select anew from the statistics that
 * are open: fills selection, scores, and the report of the sites. Collective. */
esp_status selection_run(prune_job *job);
void selection_clear(prune_job *job);
/* For a criterion without data: collect from input of maximum entropy, and select, twice the
 * samples at a time until the scores move by less than 5 %. Collective. */
esp_status selection_run_rounds(prune_job *job);

#endif
