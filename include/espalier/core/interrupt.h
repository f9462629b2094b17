/* Being asked to stop: SIGTERM (a batch system before the time limit, a preemption) and SIGUSR1,
 * which mpirun and srun hand on to every rank. */
#ifndef ESPALIER_CORE_INTERRUPT_H
#define ESPALIER_CORE_INTERRUPT_H

#include <stdbool.h>

/* From now on the two signals are only noted; for commands that look at it. Local. */
void esp_interrupt_catch(void);
/* Whether one has come. Local. */
bool esp_interrupt_seen(void);

#endif
