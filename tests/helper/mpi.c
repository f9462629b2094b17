#include "mpi.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

esp_comm test_comm;
static char folder[64];

static void end_job(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
}

const char *test_path(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

void test_make_folder(const char *path) {
  if (test_comm.rank == 0 && mkdir(path, 0777) != 0) MPI_Abort(MPI_COMM_WORLD, 3);
  esp_barrier(&test_comm);
}

void test_write_file(const char *path, const void *bytes, size_t count) {
  if (test_comm.rank == 0) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, count, file) != count || fclose(file) != 0)
      MPI_Abort(MPI_COMM_WORLD, 3);
  }
  esp_barrier(&test_comm);
}

static void make_folder(void) {
  strcpy(folder, "/tmp/espalier-test-XXXXXX");
  if (test_comm.rank == 0 && !mkdtemp(folder)) MPI_Abort(MPI_COMM_WORLD, 2);
  esp_bcast(&test_comm, folder, sizeof folder, 0);
}

static void remove_folder(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  esp_barrier(&test_comm);
  if (test_comm.rank == 0 && system(command) != 0) fprintf(stderr, "cannot remove %s\n", folder);
}

/* CMocka's own group runner takes only arrays known at compile time; this is what the macro calls.
 */
int test_run(int argc, char **argv, const struct CMUnitTest *tests, size_t count) {
  MPI_Init(&argc, &argv);
  esp_comm_init(&test_comm, MPI_COMM_WORLD);
  esp_set_panic_hook(end_job);
  esp_set_panic_rank(test_comm.rank);
  if (test_comm.rank > 0 && !freopen("/dev/null", "w", stderr)) MPI_Abort(MPI_COMM_WORLD, 2);
  if (test_comm.rank > 0 && !freopen("/dev/null", "w", stdout)) MPI_Abort(MPI_COMM_WORLD, 2);
  make_folder();
  int failed = _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
  failed = (int)esp_agree_max_i64(&test_comm, failed);
  remove_folder();
  esp_comm_clear(&test_comm);
  MPI_Finalize();
  return failed;
}
