#define _XOPEN_SOURCE 700 // SIGXCPU
#include "limits.h"

#include "espalier/core/memory.h"
#include "espalier/core/memory_limit.h"
#include "espalier/linalg/gemm.h"

#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
  OWN_BYTES = 64 << 20,    // of MPI, HDF5 and this program beside the arrays that are planned
  STACK_BYTES = 512 << 10, // Open MPI does not start with 128 KiB
  OPEN_FILES = 32,         // nor with 24 files
  MOST_SPARE_S = 30        // of CPU time, to come to a place where the run can be gone on from
};

static int64_t get_thread_stack_bytes(void) {
  pthread_attr_t attributes;
  size_t bytes = 0;
  pthread_attr_init(&attributes);
  pthread_attr_getstacksize(&attributes, &bytes);
  pthread_attr_destroy(&attributes);
  return (int64_t)bytes;
}

static esp_status check_memory_local(void) {
  const int64_t blas = esp_blas_count_buffer_bytes(),
                stacks = (omp_get_max_threads() - 1) * get_thread_stack_bytes();
  char purpose[128];
  snprintf(purpose, sizeof purpose, "a rank with %d threads (BLAS %lld MiB, MPI and HDF5 %d MiB)",
           omp_get_max_threads(), (long long)(blas >> 20), OWN_BYTES >> 20);
  return esp_memory_check_room(blas + stacks + OWN_BYTES, purpose);
}

/* Who starts the ranks tells each its number before MPI does. */
static bool is_first_rank(void) {
  static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                      "SLURM_PROCID"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
    const char *rank = getenv(names[i]);
    if (rank) return strcmp(rank, "0") == 0;
  }
  return true;
}

static bool is_below(int resource, rlim_t least, unsigned long long *found) {
  struct rlimit limit;
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur >= least) return false;
  *found = limit.rlim_cur;
  return true;
}

int limits_check_start(void) {
  unsigned long long found;
  const bool lacks_stack = is_below(RLIMIT_STACK, STACK_BYTES, &found);
  if (!lacks_stack && !is_below(RLIMIT_NOFILE, OPEN_FILES, &found)) return ESP_OK;
  if (!is_first_rank()) {
    sleep(2); // or the launcher would end the first one before it has spoken
    return ESP_IO;
  }
  if (lacks_stack)
    fprintf(
        stderr,
        "espalier: error: the limit on stacks is %llu KiB, at least %d KiB are needed; raise it "
        "(ulimit -s)\n",
        found >> 10, STACK_BYTES >> 10);
  else
    fprintf(stderr,
            "espalier: error: the limit on open files is %llu, at least %d are needed; raise it "
            "(ulimit -n)\n",
            found, OPEN_FILES);
  return ESP_IO;
}

static void *wait_at(void *gate) {
  pthread_mutex_lock(gate);
  pthread_mutex_unlock(gate);
  return NULL;
}

/* OpenMP would end the process where it cannot make a thread, so as many are made here first, all
 * there at once. */
static esp_status check_threads_local(void) {
  const int n = omp_get_max_threads() - 1;
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  pthread_t *threads = ESP_NEW(pthread_t, n);
  int made = 0, code = 0;
  pthread_mutex_lock(&gate);
  while (made < n && (code = pthread_create(&threads[made], NULL, wait_at, &gate)) == 0) made++;
  pthread_mutex_unlock(&gate);
  for (int i = 0; i < made; i++) pthread_join(threads[i], NULL);
  esp_free(&threads);
  if (code == 0) return ESP_OK;
  return esp_fail(
      ESP_IO,
      "cannot make thread %d of %d: %s; raise the limit on processes (ulimit -u) or use "
      "fewer threads (OMP_NUM_THREADS)",
      made + 2, n + 1, strerror(code));
}

static esp_status check_local(void) {
  ESP_TRY(check_memory_local());
  return check_threads_local();
}

esp_status limits_check(const esp_comm *comm) {
  return esp_agree(comm, check_local());
}

static void (*handler_end_job)(int exit_code);
static char handler_line[160]; // made beforehand: a handler may only write it

static void end_on_cpu_time(int number) {
  (void)number;
  const ssize_t put = write(STDERR_FILENO, handler_line, strlen(handler_line));
  (void)put;
  handler_end_job(ESP_INTERRUPTED);
  _exit(ESP_INTERRUPTED);
}

/* The signal comes at the soft limit; at the hard one the kernel kills. A shell sets both alike. */
static void set_apart(struct rlimit *limit) {
  const rlim_t tenth = limit->rlim_max / 10 + 1,
               spare = tenth < MOST_SPARE_S ? tenth : MOST_SPARE_S;
  if (limit->rlim_max == RLIM_INFINITY || limit->rlim_max <= spare) return;
  if (limit->rlim_cur <= limit->rlim_max - spare) return;
  limit->rlim_cur = limit->rlim_max - spare;
  setrlimit(RLIMIT_CPU, limit);
}

void limits_catch_cpu_time(int rank, void (*end_job)(int exit_code)) {
  struct sigaction action = {.sa_handler = end_on_cpu_time};
  struct rlimit limit;
  if (getrlimit(RLIMIT_CPU, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  set_apart(&limit);
  handler_end_job = end_job;
  snprintf(
      handler_line, sizeof handler_line,
      "espalier: error: rank %d has used its CPU time of %llu s; raise the limit (ulimit -t)\n",
      rank, (unsigned long long)limit.rlim_cur);
  sigemptyset(&action.sa_mask);
  sigaction(SIGXCPU, &action, NULL);
}
