/* Memory that a rank may use: asked, or the node's by its ranks. */
#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double read_number(const char *path, const char *key, double unit) {
  FILE *file = fopen(path, "r");
  char line[256];
  double value = -1.0;
  if (!file) return -1.0;
  while (value < 0.0 && fgets(line, sizeof line, file))
    if (strncmp(line, key, strlen(key)) == 0) {
      char *end;
      const double number = strtod(line + strlen(key), &end);
      if (end > line + strlen(key)) value = number * unit;
    }
  fclose(file);
  return value;
}

static void take_less(double *least, double value, const char *name, const char **from) {
  if (value <= 0.0 || (*least > 0.0 && value >= *least)) return;
  *least = value;
  *from = name;
}

/* The least of what Slurm grants, the control group allows and the kernel calls available. */
static double node_bytes(const char **from) {
  const char *granted = getenv("SLURM_MEM_PER_NODE"); // MiB
  double least = -1.0;
  *from = "unknown";
  take_less(&least, read_number("/proc/meminfo", "MemAvailable:", 1024.0), "MemAvailable", from);
  take_less(&least, read_number("/sys/fs/cgroup/memory.max", "", 1.0), "control group", from);
  if (granted) take_less(&least, strtod(granted, NULL) * 0x1p20, "SLURM_MEM_PER_NODE", from);
  return least;
}

void plan_find_limit(const plan_job *plan, esp_plan_memory *memory) {
  const char *source;
  if (plan->options->memory > 0) {
    snprintf(memory->limit_from, sizeof memory->limit_from, "--memory");
    memory->limit = (double)plan->options->memory;
    return;
  }
  const double node = node_bytes(&source);
  snprintf(memory->limit_from, sizeof memory->limit_from, "%s %.0f MiB / %d ranks a node", source,
           node / 0x1p20, plan->ranks_per_node);
  memory->limit = node > 0.0 ? node / plan->ranks_per_node : -1.0;
}
