/* What bounds memory: the kernel, the control groups a batch system puts a job into, what Slurm
 * says that it granted, and the limits of the process (ulimit). */
#ifndef ESPALIER_CORE_MEMORY_LIMIT_H
#define ESPALIER_CORE_MEMORY_LIMIT_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/status.h"

#include <stdint.h>

ESP_C_BEGIN

typedef struct esp_memory_bound {
  double bytes;  // below 0: nothing bounds it
  char name[64]; // what does, for messages: "SLURM_MEM_PER_CPU x 4"
} esp_memory_bound;

/* Find the least of what bounds all processes of this node together: MemAvailable; the job's own
 * control group and every one above it, of version 1 or 2; SLURM_MEM_PER_NODE, SLURM_MEM_PER_CPU
 * times the CPUs granted, SLURM_MEM_PER_GPU times the GPUs. Local.
 *   root  in  folder that proc and sys are in: "" but in tests */
void esp_memory_find_node_bound(const char *root, esp_memory_bound *bound);

/* Find the least of what this process may still take: the limits on address space (ulimit -v) and
 * on data (ulimit -d), less what it has. Local. */
void esp_memory_find_process_bound(const char *root, esp_memory_bound *bound);

/* Fail with IO if this process cannot take so many bytes more, with the arithmetic: what is needed,
 * by which of its limits, of which how much is taken. Memory is tried for and given back. Local.
 *   purpose  in  what needs it, for the message */
esp_status esp_memory_check_room(int64_t bytes, const char *purpose);

ESP_C_END

#endif
