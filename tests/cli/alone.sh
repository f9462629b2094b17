#!/usr/bin/env bash
# Started without a launcher where a batch system has set its variables; --help and --version without MPI.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

host=$(hostname)
printf '%s\n%s\n' "$host" elsewhere >nodes
salloc=(SLURM_JOB_ID=7 SLURM_JOBID=7 SLURM_NODELIST="$host" SLURM_JOB_NODELIST="$host" SLURM_NTASKS=4 SLURM_NNODES=1)
batch=("${salloc[@]}" SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_TASK_PID=1)
interactive=("${batch[@]}" SLURM_STEP_ID=4294967290 SLURM_STEPID=4294967290 SLURM_STEP_NUM_TASKS=1 SLURM_STEP_NODELIST="$host")
one_task=("${batch[@]}" SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=1)
many_tasks=("${batch[@]}" SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=4)
pbs=(PBS_JOBID=7.server PBS_ENVIRONMENT=PBS_BATCH PBS_NODEFILE="$PWD/nodes" PBS_NUM_NODES=2 PBS_NP=4)
lsf=(LSB_JOBID=7 LSB_HOSTS="$host elsewhere" LSB_MCPU_HOSTS="$host 2 elsewhere 2" LSB_DJOB_NUMPROC=4)
grid_engine=(JOB_ID=7 PE_HOSTFILE="$PWD/nodes" NSLOTS=4)

# alone ENVIRONMENT... -- ARGUMENT...: no launcher, and nothing of one in the environment.
alone() {
  local settings=()
  while [[ $1 != -- ]]; do settings+=("$1") && shift; done
  shift
  env "${settings[@]}" timeout -k 5 60 "$ESPALIER" "$@" >stdout 2>"$ERRORS" && [[ ! -s $ERRORS ]]
}
for system in salloc batch interactive one_task pbs lsf grid_engine; do
  declare -n settings=$system
  check "$system: info" alone "${settings[@]}" -- info "$model"
  check "$system: plan" alone "${settings[@]}" -- plan "$llama" -d "$llama" --ranks 4 --quiet
  check "$system: export" alone "${settings[@]}" -- export "$llama" "$system" --quiet
  check "$system: eval" alone "${settings[@]}" -- eval "$model" -d "$data" --no-speed
done
check "one of many tasks without PMI does not go on alone" bash -c '! "$@"' - \
  env "${many_tasks[@]}" timeout 60 "$ESPALIER" info "$model"

# An MPI that cannot start is not asked.
broken=(OMPI_MCA_ess=none OMPI_MCA_btl=none)
for words in --version --help "prune --help" "eval -h"; do
  # shellcheck disable=SC2086
  check "no MPI: $words" alone "${broken[@]}" "${many_tasks[@]}" -- $words
done
check "no MPI: no command is an error, with the usage" bash -c '"$0" >stdout; [[ $? == 1 ]] && grep -q usage: stdout' "$ESPALIER"
espalier --version >stdout
check "several processes: printed once" test "$(wc -l <stdout)" = 1
espalier prune --help >stdout
check "several processes: help printed once" test "$(grep -c '^usage' stdout)" = 1
finish
