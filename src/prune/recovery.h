/* Training after the repair. */
#ifndef ESPALIER_SRC_PRUNE_RECOVERY_H
#define ESPALIER_SRC_PRUNE_RECOVERY_H

#include "job.h"

/* Before the work: USAGE where a masked model is to be trained and no mask token is known.
 * Collective. */
esp_status recovery_check_masks(const prune_job *job);
/* Train the pruned model as was asked, if it was, with the dense one as teacher, on the data that
 * the repair reads, or the statistics were made from. USAGE: there is none; what esp_train says.
 * Collective. */
esp_status recovery_run(prune_job *job);
/* Remove its checkpoint, once the model is safely written. Collective. */
void recovery_finish(const prune_job *job);

#endif
