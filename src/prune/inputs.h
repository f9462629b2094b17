/* What a pruning reads beside the model: statistics, opened or collected first, and samples. */
#ifndef ESPALIER_SRC_PRUNE_INPUTS_H
#define ESPALIER_SRC_PRUNE_INPUTS_H

#include "job.h"

/* Open the statistics if any are read: those named, or collected to OUT.stats.h5, or OUT.stats.tmp
 * where they are not kept. FORMAT, MISMATCH, USAGE. Collective. */
esp_status inputs_open_statistics(prune_job *job);
/* Collect from this data and so many samples, open it, and check it. Collective. */
esp_status inputs_collect(prune_job *job, const char *data, int64_t samples);
/* Open the samples if the repair, or trials, read any. Collective. */
esp_status inputs_open_samples(prune_job *job);
/* Remove what was collected for this pruning alone, if anything was. Collective. */
void inputs_discard(prune_job *job);
void inputs_close(prune_job *job);

/* MISMATCH: the criterion uses no data, but the statistics do. Local. */
esp_status inputs_check_made(const esp_prune_request *request, const esp_stats *stats);

#endif
