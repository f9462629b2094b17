#ifndef ESPALIER_SRC_PRUNE_STABILITY_H
#define ESPALIER_SRC_PRUNE_STABILITY_H

#include "job.h"

/* Once units (and the width) are selected, rank every site that was cut again from each half of the
 * statistics, and report how much of the two kept sets is the same, or why that was not measured.
 * Collective. */
esp_status stability_measure(prune_job *job);

#endif
