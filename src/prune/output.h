/* PRUNED.h5 and its report. */
#ifndef ESPALIER_SRC_PRUNE_OUTPUT_H
#define ESPALIER_SRC_PRUNE_OUTPUT_H

#include "job.h"

/* What the figures should be read with, owned by the caller; NULL: nothing. Local. */
char *output_make_warning(const prune_job *job);
/* Fill what the report has of sizes, statistics and warnings. Local. */
void output_complete_report(prune_job *job);
/* Write PRUNED.h5, then NAME.report.json with times, memory and traffic. IO, NUMERIC. Collective.
 */
esp_status output_write(prune_job *job);

#endif
