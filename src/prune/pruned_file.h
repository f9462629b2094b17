/* PRUNED.h5 and its report. */
#ifndef ESPALIER_SRC_PRUNE_PRUNED_FILE_H
#define ESPALIER_SRC_PRUNE_PRUNED_FILE_H

#include "job.h"

/* What the figures should be read with, owned by the caller; NULL: nothing. Local. */
char *pruned_file_make_warning(const prune_job *job);
/* Fill what the report has of sizes, statistics and warnings. Local. */
void pruned_file_complete_report(prune_job *job);
/* Write PRUNED.h5, then NAME.report.json with times, memory and traffic. IO, NUMERIC. Collective.
 */
esp_status pruned_file_write(prune_job *job);

#endif
