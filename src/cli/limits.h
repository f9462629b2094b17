/* Limits that batch systems and shells set on a process (ulimit). */
#ifndef ESPALIER_SRC_CLI_LIMITS_H
#define ESPALIER_SRC_CLI_LIMITS_H

#include "espalier/comm/comm.h"

/* Check what MPI itself needs, before it starts: stack and open files. The first rank prints the
 * line. Returns the exit code, 0 if all is well. Local. */
int limits_check_start(void);

/* Fail with IO if a rank may not have the memory of BLAS, which waits for ever where it gets none,
 * or the threads of OpenMP, which end the process. Collective on comm. */
esp_status limits_check(const esp_comm *comm);

/* From now on a rank that runs out of CPU time (ulimit -t) prints a line and ends the job; commands
 * that can be gone on with are told some seconds before. Local.
 *   rank  in  of this process, for the line */
void limits_catch_cpu_time(int rank, void (*end_job)(int exit_code));

#endif
