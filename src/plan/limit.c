/* Memory that a rank may use: asked, or the node's by its ranks, or what limits a process. */
#include "job.h"

#include "espalier/core/memory.h"
#include "espalier/core/memory_limit.h"

void plan_find_limit(const plan_job *plan, esp_plan_memory *memory) {
  esp_memory_bound node, process;
  if (plan->options->memory > 0) {
    memory->limit_from = esp_strdup("--memory");
    memory->limit = (double)plan->options->memory;
    return;
  }
  esp_memory_find_node_bound("", &node);
  esp_memory_find_process_bound("", &process);
  memory->limit = node.bytes > 0.0 ? node.bytes / plan->ranks_per_node : -1.0;
  if (process.bytes > 0.0 && (memory->limit < 0.0 || process.bytes < memory->limit)) {
    memory->limit = process.bytes;
    memory->limit_from =
        esp_format("what the limit on %s leaves: %.0f MiB", process.name, process.bytes / 0x1p20);
  } else {
    memory->limit_from = esp_format("%s %.0f MiB / %d ranks a node", node.name, node.bytes / 0x1p20,
                                    plan->ranks_per_node);
  }
}
