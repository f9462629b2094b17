#include "commands.h"
#include "limits.h"

#include "espalier/comm/handle.h"
#include "espalier/core/memory.h"
#include "espalier/io/mapping.h"
#include "espalier/linalg/gemm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Should ending the other ranks hang, the alarm ends this one, and the launcher the others. */
static void end_job(int exit_code) {
  signal(SIGALRM, SIG_DFL);
  alarm(10);
  MPI_Abort(MPI_COMM_WORLD, exit_code);
}

int main(int argc, char **argv) {
  const int refused = limits_check_start();
  if (refused) return refused;
  setenv("OMPI_MCA_io", "romio321",
         0);                // contiguous writes are several times faster than with ompio
  signal(SIGXFSZ, SIG_IGN); // a file-size limit is an error of write(), not a death
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  esp_set_panic_hook(end_job);
  esp_blas_use_one_thread();
  esp_comm comm;
  esp_comm_init(&comm, MPI_COMM_WORLD);
  esp_set_panic_rank(comm.rank);
  esp_mapping_catch_faults(comm.rank, end_job);
  limits_catch_cpu_time(comm.rank, end_job);
  const int exit_code = run_program(&comm, argc, argv);
  fflush(stdout); // mpirun may end a rank as soon as another has returned non-zero
  esp_comm_clear(&comm);
  MPI_Finalize();
  return exit_code;
}
