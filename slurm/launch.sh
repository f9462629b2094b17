# Sourced by the job scripts. launch COMMAND...: run it so that Slurm's warning before the time limit (SIGUSR1 to the script)
# reaches the ranks: srun and mpirun hand it on. Interrupted (exit code 6), the job is queued again, at most
# ESPALIER_REQUEUES times (10), and goes on from what is finished.
# shellcheck shell=bash
launch() {
  local code=0 job warned=0
  "$@" &
  job=$!
  trap 'warned=1; kill -USR1 $job 2>/dev/null || true' USR1
  wait $job || code=$?
  while ((warned)); do # the signal has ended wait, not the job
    warned=0 code=0
    wait $job || code=$?
  done
  trap - USR1
  ((code != 6)) || queue_again
  return "$code"
}

queue_again() {
  ((${SLURM_RESTART_COUNT:-0} < ${ESPALIER_REQUEUES:-10})) || return 0
  echo "interrupted: job $SLURM_JOB_ID is queued again" >&2
  scontrol requeue "$SLURM_JOB_ID"
}
