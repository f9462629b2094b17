/* What was selected of a site, in the journal and in the report. */
#ifndef ESPALIER_SRC_PRUNE_SELECTED_H
#define ESPALIER_SRC_PRUNE_SELECTED_H

#include "job.h"

/* Take over the selection of a site, its scores and report; *found tells whether it was there.
 * Keep them. FORMAT: they do not fit the model; IO, INTERRUPTED (after keeping). Collective. */
esp_status selected_load(prune_job *job, int site, bool *found);
esp_status selected_save(prune_job *job, int site);

/* Put the site's counts into the report and the log, and chain its checksum. Local. */
void selected_report(prune_job *job, int site);
void selected_chain_checksum(prune_job *job, int site);
/* Write /kept/<site> and /scores/<site>. Collective. */
esp_status selected_write(const prune_job *job, int site, esp_h5 *file);

#endif
