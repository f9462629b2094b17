#include "commands.h"
#include "limits.h"

#include "espalier/comm/handle.h"
#include "espalier/core/memory.h"
#include "espalier/io/mapping.h"
#include "espalier/linalg/gemm.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Slurm numbers the steps that are no launch from here: the shell of salloc, the batch script. */
static const unsigned long long first_special_step = 4294967290;

static bool is_any_set(const char *const *names) {
  for (; *names; names++)
    if (getenv(*names)) return true;
  return false;
}

/* What mpirun, mpiexec, srun with PMI or PMIx, and the launchers of vendors tell a process. MPICH
 * starts alone where PMI_FD and PMI_PORT are not set, whatever the batch system has set. */
static bool is_launched(void) {
  static const char *const names[] = {"OMPI_COMM_WORLD_SIZE",
                                      "PMIX_RANK",
                                      "PMIX_NAMESPACE",
                                      "PMI_RANK",
                                      "PMI_FD",
                                      "PMI_PORT",
                                      "PALS_RANKID",
                                      "MPI_LOCALRANKID",
                                      NULL};
  return is_any_set(names);
}

/* srun without PMI starts tasks that do not know each other; more than one must not go on alone. */
static bool is_one_of_many(void) {
  const char *step = getenv("SLURM_STEP_ID"), *tasks = getenv("SLURM_STEP_NUM_TASKS");
  if (!step || strtoull(step, NULL, 10) >= first_special_step) return false;
  return !tasks || strcmp(tasks, "1") != 0;
}

static bool is_in_allocation(void) {
  static const char *const names[] = {
      "SLURM_JOB_ID", "SLURM_JOBID", "SLURM_NODELIST", "PBS_JOBID", "LSB_JOBID",
      "PE_HOSTFILE",  NULL};
  return is_any_set(names);
}

/* Started alone inside an allocation, Open MPI 4 gives up for two reasons: it takes SLURM_NODELIST
 * for a launch by srun (its component schizo/slurm), and the daemon that it starts beside a process
 * that is alone reads the allocation (ras/slurm, ras/tm, ras/lsf), which may be of other nodes. So
 * the one is unset, and no daemon is started; it would only serve MPI_Comm_spawn. */
static void start_alone(void) {
  if (is_launched() || is_one_of_many() || !is_in_allocation()) return;
  unsetenv("SLURM_NODELIST");
  setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
}

/* Should ending the other ranks hang, the alarm ends this one, and the launcher the others. */
static void end_job(int exit_code) {
  signal(SIGALRM, SIG_DFL);
  alarm(10);
  MPI_Abort(MPI_COMM_WORLD, exit_code);
}

int main(int argc, char **argv) {
  int exit_code;
  if (answer_without_mpi(argc, argv, &exit_code)) return exit_code;
  exit_code = limits_check_start();
  if (exit_code) return exit_code;
  start_alone();
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
  exit_code = run_program(&comm, argc, argv);
  fflush(stdout); // mpirun may end a rank as soon as another has returned non-zero
  esp_comm_clear(&comm);
  MPI_Finalize();
  return exit_code;
}
