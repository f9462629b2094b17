#include "unit.h"

#include "espalier/core/memory_limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];
static const double mib = 0x1p20;

static void make_folders(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    mkdir(path, 0777);
    *slash = '/';
  }
}

/* root/NAME holds text. */
static void set_file(const char *name, const char *text) {
  char path[256];
  snprintf(path, sizeof path, "%s%s", root, name);
  make_folders(path);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
}

static int make_root(void **state) {
  (void)state;
  static const char *const names[] = {
      "SLURM_MEM_PER_NODE",      "SLURM_MEM_PER_CPU",  "SLURM_MEM_PER_GPU",  "SLURM_CPUS_ON_NODE",
      "SLURM_JOB_CPUS_PER_NODE", "SLURM_GPUS_ON_NODE", "SLURM_GPUS_PER_NODE"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
  snprintf(root, sizeof root, "memory_limit.XXXXXX");
  return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", root);
  return system(command);
}

static void expect_node(double bytes, const char *name) {
  esp_memory_bound bound;
  esp_memory_find_node_bound(root, &bound);
  assert_true(bound.bytes == bytes);
  assert_string_equal(bound.name, name);
}

static void node_bound_is_unknown_without_any(void **state) {
  (void)state;
  expect_node(-1.0, "unknown");
}

static void node_bound_is_what_the_kernel_calls_available(void **state) {
  (void)state;
  set_file("/proc/meminfo", "MemTotal: 4096 kB\nMemAvailable:    2048 kB\n");
  expect_node(2.0 * mib, "MemAvailable");
}

static void node_bound_is_of_the_jobs_own_group(void **state) {
  (void)state;
  set_file("/proc/self/cgroup", "0::/slurm/job_7/step_0\n");
  set_file("/sys/fs/cgroup/memory.max", "max\n");
  set_file("/sys/fs/cgroup/slurm/memory.max", "9000000\n");
  set_file("/sys/fs/cgroup/slurm/job_7/step_0/memory.max", "8000000\n");
  expect_node(8000000.0, "control group");
}

static void node_bound_is_of_a_group_above(void **state) {
  (void)state;
  set_file("/proc/self/cgroup", "0::/slurm/job_7/step_0\n");
  set_file("/sys/fs/cgroup/slurm/memory.max", "max\n");
  set_file("/sys/fs/cgroup/slurm/job_7/memory.max", "7000000\n");
  set_file("/sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n");
  expect_node(7000000.0, "control group");
}

static void node_bound_is_of_the_root_of_a_container(void **state) {
  (void)state;
  set_file("/proc/self/cgroup", "0::/\n");
  set_file("/sys/fs/cgroup/memory.max", "6000000\n");
  expect_node(6000000.0, "control group");
}

static void node_bound_reads_version_1(void **state) {
  (void)state;
  set_file("/proc/self/cgroup", "5:cpuset:/other\n4:hugetlb,memory:/job/task\n0::/unified\n");
  set_file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  set_file("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "5000000\n");
  set_file("/sys/fs/cgroup/memory/job/task/memory.limit_in_bytes", "9223372036854771712\n");
  set_file("/sys/fs/cgroup/memory/other/memory.limit_in_bytes", "4000000\n");
  expect_node(5000000.0, "control group");
}

static void node_bound_counts_what_slurm_grants(void **state) {
  (void)state;
  setenv("SLURM_MEM_PER_NODE", "1000", 1);
  expect_node(1000.0 * mib, "SLURM_MEM_PER_NODE");
  setenv("SLURM_MEM_PER_CPU", "100", 1);
  expect_node(1000.0 * mib, "SLURM_MEM_PER_NODE"); // of how many is not known
  setenv("SLURM_JOB_CPUS_PER_NODE", "8(x2),4", 1);
  expect_node(800.0 * mib, "SLURM_MEM_PER_CPU x 8");
  setenv("SLURM_CPUS_ON_NODE", "4", 1);
  expect_node(400.0 * mib, "SLURM_MEM_PER_CPU x 4");
  setenv("SLURM_MEM_PER_GPU", "150", 1);
  setenv("SLURM_GPUS_PER_NODE", "a100:2", 1);
  expect_node(300.0 * mib, "SLURM_MEM_PER_GPU x 2");
}

static void node_bound_takes_all_of_the_node_for_none(void **state) {
  (void)state;
  setenv("SLURM_MEM_PER_NODE", "0", 1);
  expect_node(-1.0, "unknown");
}

/* Far above what a process takes, address sanitizers included. */
static const rlim_t far = (rlim_t)1 << 46;

static void process_bound_is_what_the_limit_leaves(void **state) {
  (void)state;
  struct rlimit old, low;
  esp_memory_bound bound;
  set_file("/proc/self/status", "VmPeak: 9 kB\nVmSize: 1048576 kB\nVmData: 1024 kB\n");
  assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
  low = (struct rlimit){far, old.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_AS, &low), 0);
  esp_memory_find_process_bound(root, &bound);
  assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
  assert_true(bound.bytes == 0x1p46 - 0x1p30);
  assert_string_equal(bound.name, "address space (ulimit -v)");
}

static void check_room_passes_where_there_is_some(void **state) {
  (void)state;
  assert_int_equal(esp_memory_check_room(1 << 20, "a test"), ESP_OK);
  assert_int_equal(esp_memory_check_room(0, "a test"), ESP_OK);
}

static void check_room_gives_the_arithmetic(void **state) {
  (void)state;
  struct rlimit old, low;
  assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
  low = (struct rlimit){far, old.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_AS, &low), 0);
  const esp_status status = esp_memory_check_room((int64_t)far, "a test");
  assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
  assert_int_equal(status, ESP_IO);
  assert_non_null(strstr(esp_failure_text(), "a test needs 67108864 MiB, but the limit on address "
                                             "space (ulimit -v) is 67108864 MiB, of which "));
}

static void check_room_refuses_what_no_system_has(void **state) {
  (void)state;
  assert_int_equal(esp_memory_check_room(INT64_MAX / 2, "a test"), ESP_IO);
  assert_non_null(strstr(esp_failure_text(), "which the system does not give"));
}

#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
ESP_TEST_MAIN(IN_ROOT(node_bound_is_unknown_without_any),
              IN_ROOT(node_bound_is_what_the_kernel_calls_available),
              IN_ROOT(node_bound_is_of_the_jobs_own_group), IN_ROOT(node_bound_is_of_a_group_above),
              IN_ROOT(node_bound_is_of_the_root_of_a_container),
              IN_ROOT(node_bound_reads_version_1), IN_ROOT(node_bound_counts_what_slurm_grants),
              IN_ROOT(node_bound_takes_all_of_the_node_for_none),
              IN_ROOT(process_bound_is_what_the_limit_leaves),
              cmocka_unit_test(check_room_passes_where_there_is_some),
              cmocka_unit_test(check_room_gives_the_arithmetic),
              cmocka_unit_test(check_room_refuses_what_no_system_has))
