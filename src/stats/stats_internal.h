/* What the files of the statistics share. */
#ifndef ESPALIER_SRC_STATS_STATS_INTERNAL_H
#define ESPALIER_SRC_STATS_STATS_INTERNAL_H

#include "espalier/stats/stats.h"

/* Micro-batches of a half, or of all, whose number among all is below n. */
int64_t stats_count_below(esp_half half, int64_t n);

/* Where this rank's i-th micro-batch of the file stands among those of the statistics; -1: not in
 * this half. Local. */
int64_t stats_place_batch_local(const esp_stats *stats, int64_t i);

/* Turn a site's moments and covariance from those of the whole into those of the odd half: take the
 * even half away. Local. */
void stats_subtract_local(const esp_stats *stats, const esp_site_stats *even, esp_site_stats *site);

#endif
