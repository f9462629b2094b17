# Sourced by run.sh: a one-node Slurm cluster of this machine without systemd and cgroups, all its state in $CLUSTER.
# shellcheck shell=bash
daemons=()

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Two neighbouring ports that nobody listens on, below those that the kernel gives out.
choose_port() {
  local port
  for _ in {1..50}; do
    port=$((12000 + RANDOM % 20000))
    if is_free $port && is_free $((port + 1)); then echo $port && return; fi
  done
  return 1
}

write_configuration() {
  local host port=$1
  host=$(hostname -s)
  cat >"$CLUSTER/slurm.conf" <<END
ClusterName=espalier-test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket=$CLUSTER/munge/socket
StateSaveLocation=$CLUSTER/state
SlurmdSpoolDir=$CLUSTER/spool
SlurmctldPidFile=$CLUSTER/slurmctld.pid
SlurmdPidFile=$CLUSTER/slurmd.pid
SlurmctldLogFile=$CLUSTER/slurmctld.log
SlurmdLogFile=$CLUSTER/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$CLUSTER/completed.txt
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=100000
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
MessageTimeout=30
KillWait=5
MinJobAge=600
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

start() { # COMMAND...: a daemon in the foreground of a process of ours, ended by stop_cluster
  "$@" >"$CLUSTER/$(basename "$1").out" 2>&1 &
  daemons+=($!)
}

# wait_until SECONDS COMMAND...
wait_until() {
  local end=$((SECONDS + $1))
  until "${@:2}"; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

is_idle() { sinfo -h -o %T 2>/dev/null | grep -qx idle; }
is_empty() { [[ ! $(squeue -h 2>/dev/null) ]]; }

start_cluster() {
  mkdir -p "$CLUSTER"/{state,spool,munge}
  chmod 755 "$CLUSTER" "$CLUSTER/munge"
  (umask 077 && head -c 128 /dev/urandom >"$CLUSTER/munge/key")
  port=$(choose_port) || return 1
  write_configuration "$port"
  export SLURM_CONF=$CLUSTER/slurm.conf
  # --force: root, and a folder of its own
  start /usr/sbin/munged --foreground --force --key-file="$CLUSTER/munge/key" --socket="$CLUSTER/munge/socket" \
    --pid-file="$CLUSTER/munge/pid" --log-file="$CLUSTER/munge/log" --seed-file="$CLUSTER/munge/seed"
  wait_until 10 test -S "$CLUSTER/munge/socket" || return 1
  start /usr/sbin/slurmctld -D -c
  start /usr/sbin/slurmd -D -N "$(hostname -s)"
  wait_until 30 is_idle
}

is_gone() { is_free "$port" && is_free $((port + 1)) && [[ ! $(jobs -pr) ]]; }

# Jobs first, then the daemons, last started first ended.
stop_cluster() {
  local i
  ((${#daemons[@]})) || return 0
  if timeout 5 sinfo -h >/dev/null 2>&1; then
    scancel --quiet --user=root 2>/dev/null || true
    wait_until 15 is_empty || true
  fi
  for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do
    kill "${daemons[i]}" 2>/dev/null || continue
    wait_until 10 eval "! kill -0 ${daemons[i]} 2>/dev/null" || kill -9 "${daemons[i]}" 2>/dev/null || true
  done
  daemons=()
}
