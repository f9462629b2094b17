/* Memory that a rank may use: asked, or the node's by its ranks, or what limits a process. */
#include "plan.h"

#include "espalier/core/memory_limit.h"

#include <stdio.h>

double plan_memory_limit(const plan_job *plan, char *from, size_t size) {
  esp_memory_bound node, process;
  if (plan->job.settings->plan.memory > 0) {
    snprintf(from, size, "--memory");
    return (double)plan->job.settings->plan.memory;
  }
  esp_memory_find_node_bound("", &node);
  esp_memory_find_process_bound("", &process);
  const double share = node.bytes > 0.0 ? node.bytes / plan->ranks_per_node : -1.0;
  if (process.bytes > 0.0 && (share < 0.0 || process.bytes < share)) {
    snprintf(from, size, "what the limit on %s leaves: %.0f MiB", process.name,
             process.bytes / 0x1p20);
    return process.bytes;
  }
  snprintf(from, size, "%s %.0f MiB / %d ranks a node", node.name, node.bytes / 0x1p20,
           plan->ranks_per_node);
  return share;
}
