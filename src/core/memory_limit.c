#define _DEFAULT_SOURCE // MAP_ANONYMOUS
#include "espalier/core/memory_limit.h"

#include "espalier/core/memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* A control group without a limit says "max" (version 2), or a number near 2^63 (version 1). */
static const double unlimited_bytes = 0x1p60;

static void take_less(esp_memory_bound *least, double bytes, const char *name) {
  if (bytes <= 0.0 || bytes >= unlimited_bytes) return;
  if (least->bytes > 0.0 && bytes >= least->bytes) return;
  least->bytes = bytes;
  snprintf(least->name, sizeof least->name, "%s", name);
}

/* The number behind key in the first line that has one; -1 if there is none. */
static double read_number(const char *path, const char *key, double unit) {
  FILE *file = fopen(path, "r");
  char line[256];
  double value = -1.0;
  if (!file) return -1.0;
  while (value < 0.0 && fgets(line, sizeof line, file)) {
    const char *const number = line + strlen(key);
    char *end;
    if (strncmp(line, key, strlen(key)) != 0) continue;
    const double found = strtod(number, &end);
    if (end > number) value = found * unit;
  }
  fclose(file);
  return value;
}

/* FOLDER GROUP/FILE and the same of every group above, the root's included. */
static void take_groups(esp_memory_bound *least, const char *folder, char *group,
                        const char *file) {
  for (;;) {
    char *path = esp_format("%s%s/%s", folder, group, file);
    take_less(least, read_number(path, "", 1.0), "control group");
    esp_free(&path);
    char *slash = strrchr(group, '/');
    if (!slash) return;
    *slash = 0;
  }
}

static bool has_word(const char *list, const char *word) {
  const size_t length = strlen(word);
  for (const char *at = list; (at = strstr(at, word)); at += length)
    if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == 0)) return true;
  return false;
}

/* A line of /proc/self/cgroup is "NUMBER:CONTROLLERS:/PATH", without controllers in version 2. */
static void take_group_line(esp_memory_bound *least, const char *root, char *line) {
  char *controllers = strchr(line, ':');
  char *group = controllers ? strchr(controllers + 1, ':') : NULL;
  if (!group) return;
  line[strcspn(line, "\n")] = 0;
  *controllers++ = 0;
  *group++ = 0;
  if (strcmp(group, "/") == 0) *group = 0;
  const bool is_unified = *controllers == 0;
  if (!is_unified && !has_word(controllers, "memory")) return;
  static const char *const folders[2][2] = {{"/sys/fs/cgroup/memory", NULL},
                                            {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}};
  for (int i = 0; i < 2 && folders[is_unified][i]; i++) {
    char *folder = esp_format("%s%s", root, folders[is_unified][i]), *copy = esp_strdup(group);
    take_groups(least, folder, copy, is_unified ? "memory.max" : "memory.limit_in_bytes");
    esp_free(&copy);
    esp_free(&folder);
  }
}

static void take_control_groups(esp_memory_bound *least, const char *root) {
  char *path = esp_format("%s/proc/self/cgroup", root), line[4096];
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file)) take_group_line(least, root, line);
  if (file) fclose(file);
  esp_free(&path);
}

/* A count at the beginning of a variable, or behind its last ':': "4", "4(x2)", "a100:4"; 0: none.
 */
static double get_count(const char *name) {
  const char *text = getenv(name);
  if (!text) return 0.0;
  const char *const colon = strrchr(text, ':');
  return strtod(colon ? colon + 1 : text, NULL);
}

static double get_first_count(const char *const *names) {
  for (; *names; names++)
    if (get_count(*names) > 0.0) return get_count(*names);
  return 0.0;
}

/* Slurm counts in MiB; 0 stands for all that the node has. */
static void take_granted(esp_memory_bound *least, const char *name, const char *const *counts) {
  const double each = get_count(name) * 0x1p20, count = counts ? get_first_count(counts) : 1.0;
  char text[sizeof least->name];
  snprintf(text, sizeof text, counts ? "%s x %.0f" : "%s", name, count);
  take_less(least, each * count, text);
}

void esp_memory_find_node_bound(const char *root, esp_memory_bound *bound) {
  static const char *const cpus[] = {"SLURM_CPUS_ON_NODE", "SLURM_JOB_CPUS_PER_NODE", NULL};
  static const char *const gpus[] = {"SLURM_GPUS_ON_NODE", "SLURM_GPUS_PER_NODE", NULL};
  char *path = esp_format("%s/proc/meminfo", root);
  *bound = (esp_memory_bound){.bytes = -1.0, .name = "unknown"};
  take_less(bound, read_number(path, "MemAvailable:", 1024.0), "MemAvailable");
  take_control_groups(bound, root);
  take_granted(bound, "SLURM_MEM_PER_NODE", NULL);
  take_granted(bound, "SLURM_MEM_PER_CPU", cpus);
  take_granted(bound, "SLURM_MEM_PER_GPU", gpus);
  esp_free(&path);
}

/* A limit of this process, and what it has taken of it. */
typedef struct process_limit {
  int resource;
  const char *name, *field; // of the limit; of /proc/self/status
} process_limit;
static const process_limit process_limits[] = {{RLIMIT_AS, "address space (ulimit -v)", "VmSize:"},
                                               {RLIMIT_DATA, "data (ulimit -d)", "VmData:"}};
enum { PROCESS_LIMITS = sizeof process_limits / sizeof *process_limits };

/* Whether there is one; of it, how much is taken. */
static bool read_limit(const char *root, const process_limit *self, double *limit, double *taken) {
  struct rlimit found;
  if (getrlimit(self->resource, &found) != 0) return false;
  if (found.rlim_cur == RLIM_INFINITY) return false;
  char *path = esp_format("%s/proc/self/status", root);
  *limit = (double)found.rlim_cur;
  *taken = read_number(path, self->field, 1024.0);
  if (*taken < 0.0) *taken = 0.0;
  esp_free(&path);
  return true;
}

void esp_memory_find_process_bound(const char *root, esp_memory_bound *bound) {
  double limit, taken;
  *bound = (esp_memory_bound){.bytes = -1.0, .name = "unknown"};
  for (int i = 0; i < PROCESS_LIMITS; i++)
    if (read_limit(root, &process_limits[i], &limit, &taken))
      take_less(bound, limit > taken ? limit - taken : 1.0, process_limits[i].name);
}

static bool is_available(int64_t bytes) {
  void *memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  munmap(memory, (size_t)bytes);
  return true;
}

esp_status esp_memory_check_room(int64_t bytes, const char *purpose) {
  double limit, taken;
  if (bytes <= 0 || is_available(bytes)) return ESP_OK;
  const int reason = errno;
  for (int i = 0; i < PROCESS_LIMITS; i++)
    if (read_limit("", &process_limits[i], &limit, &taken) && taken + (double)bytes > limit)
      return esp_fail(
          ESP_IO,
          "%s needs %.0f MiB, but the limit on %s is %.0f MiB, of which %.0f are taken; "
          "raise it to %.0f MiB, or use fewer threads (OMP_NUM_THREADS)",
          purpose, (double)bytes / 0x1p20, process_limits[i].name, limit / 0x1p20, taken / 0x1p20,
          (taken + (double)bytes) / 0x1p20 + 1.0);
  return esp_fail(ESP_IO, "%s needs %.0f MiB, which the system does not give: %s", purpose,
                  (double)bytes / 0x1p20, strerror(reason));
}
