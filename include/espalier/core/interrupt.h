/* Being asked to stop: SIGTERM (a batch system before the time limit, a preemption) and SIGUSR1,
 * which mpirun and srun hand on to every rank; SIGXCPU, when a rank's CPU time is nearly used up.
 */
#ifndef ESPALIER_CORE_INTERRUPT_H
#define ESPALIER_CORE_INTERRUPT_H

#include "espalier/core/c_linkage.h"

#include <stdbool.h>

ESP_C_BEGIN

/* From now on the signals are only noted; for commands that look at it. Local. */
void esp_interrupt_catch(void);
/* Whether one has come. Local. */
bool esp_interrupt_seen(void);

ESP_C_END

#endif
