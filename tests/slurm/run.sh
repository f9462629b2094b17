#!/usr/bin/env bash
# The job scripts of slurm/ on a real Slurm: a one-node cluster of Debian's packages, a sweep of 12 tasks of which one
# fails on purpose, its table, and a scaling run. Exit code 77, skipped, where there can be no cluster. CTest gives
#   ESPALIER  the program    HELPERS  folder of make_data    SCRATCH  folder of this test
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
CLUSTER=$SCRATCH/cluster
. "$root/tests/slurm/cluster.sh"

skip() {
  echo "skipped: $*"
  exit 77
}

((EUID == 0)) || skip "starting slurmctld, slurmd and munged on this machine takes root"
"$root/scripts/install-dependencies" slurmctld slurmd slurm-client munge python3 >install.log 2>&1 ||
  skip "Slurm's packages can't be had here: $(tail -n 1 install.log)"
for command in slurmctld slurmd munged sbatch srun python3; do
  PATH=$PATH:/usr/sbin command -v $command >/dev/null || skip "no $command here"
done

failures=0
check() { # NAME COMMAND...
  if "${@:2}"; then echo "ok      $1"; else
    echo "FAILED  $1: ${*:2}"
    failures=$((failures + 1))
  fi
}

finish() {
  local code=$?
  stop_cluster
  ((code == 0 || code == 77)) || tail -n 20 "$SCRATCH"/*.log "$CLUSTER"/slurm*.log || true
  exit "$code"
}

rm -rf "$SCRATCH"
mkdir -p "$SCRATCH/data"
cd "$SCRATCH"
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export ESPALIER_HOME=$root ESPALIER_ENV=$SCRATCH/env.sh
python=python3 pictures=0
for candidate in python3 /usr/bin/python3; do # Debian's packages belong to the second
  if "$candidate" -c 'import h5py, matplotlib, numpy' 2>/dev/null; then python=$candidate pictures=1 && break; fi
done
sed "s|^export ESPALIER=.*|export ESPALIER=$ESPALIER|; s|^export ESPALIER_PYTHON=[^ ]*|export ESPALIER_PYTHON=$python|" \
  "$root/slurm/env.sh.example" >env.sh
export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader OMPI_MCA_osc=^ucx # no search for networks

"$HELPERS/make_data" data 8 4 600 200
"$ESPALIER" train -d data --hidden 24,16 --epochs 8 --batch 64 --micro-batch 16 -o dense.h5 --quiet >train.log
{
  echo "# name, then options of espalier prune"
  for criterion in random magnitude set-mi; do
    for sparsity in 0.25 0.75; do
      for repair in none least-squares; do
        echo "$criterion-$sparsity-$repair --sparsity $sparsity --criterion $criterion --repair $repair"
      done
    done
  done | sed '$s/.*/wrong --sparsity 1.5/'
} >sweep.txt

start_cluster || skip "Slurm does not start here: $(tail -qn 1 "$CLUSTER"/slurm*.log | tail -n 1)"
submit() { sbatch --parsable --kill-on-invalid-dep=yes "$@"; }
collect=$(submit "$root/slurm/collect.sbatch" dense.h5 data stats.h5 --micro-batch 64 --pilot 256)
sweep=$(submit --dependency="afterok:$collect" --array=1-12 "$root/slurm/sweep.sbatch" dense.h5 stats.h5 sweep.txt sweep \
  data --epochs 1 --batch 64 --micro-batch 16)
gather=$(submit --dependency="afterany:$sweep" "$root/slurm/gather.sbatch" dense.h5 data sweep.txt sweep --repeats 1)
scaling=$(ESPALIER_RANKS="1 2 3" submit --ntasks=3 --dependency="afterany:$gather" "$root/slurm/scaling.sbatch" dense.h5 data \
  scaling --micro-batch 64 --pilot 256)
train=$(submit "$root/slurm/train.sbatch" dense.h5 data trained.h5 --epochs 1 --batch 64 --micro-batch 16)
recover=$(submit --dependency="afterany:$gather" "$root/slurm/recover.sbatch" sweep/random-0.75-none.h5 data recovered.h5 \
  --epochs 1 --batch 64 --micro-batch 16)
tickets=$(submit --array=0-2%1 --dependency="afterany:$recover" "$root/slurm/tickets.sbatch" dense.h5 data tickets --epochs 1 \
  --rate 0.002 --batch 64 --micro-batch 16)
check "the jobs end" wait_until 200 is_empty

state() { scontrol show job "$1" 2>/dev/null | grep -c "JobState=$2"; }
column() { python3 -c 'import csv, sys; print(*(row[sys.argv[2]] for row in csv.DictReader(open(sys.argv[1]))))' "$@"; }
count() { grep -c "$@" || true; }
check "collect: completed" test "$(state "$collect" COMPLETED)" = 1
check "sweep: 11 tasks completed" test "$(state "$sweep" COMPLETED)" = 11
check "sweep: one failed" test "$(state "$sweep" FAILED)" = 1
check "gather: completed" test "$(state "$gather" COMPLETED)" = 1
check "table: the dense model and 11 rows" test "$(column sweep/table.csv task | wc -w)" = 12
check "table: not the failed one" test "$(column sweep/table.csv task | count wrong)" = 0
check "table: every row has an accuracy" test "$(column sweep/table.csv accuracy | wc -w)" = 12
check "table: six selections" test "$(column sweep/table.csv selection_checksum | tr ' ' '\n' | sort -u | grep -c .)" = 6
check "table: what was asked went" test "$(column sweep/table.csv removed | wc -w)" = 11
check "table: Markdown too" test "$(grep -c '^|' sweep/table.md)" = 14
check "table: 11 of 12" grep -q "^11 of 12 tasks succeeded$" sweep/table.txt
check "table: the failed one is named, with its reason" grep -q "^failed: wrong: .*sparsity.*1.5" sweep/table.txt
check "page: where Python has what it needs" test "$(find sweep -name report.html -size +20k | wc -l)" = $pictures
check "table: every pruned model is recovered" test "$(column sweep/table.csv recovered_accuracy | wc -w)" = 11
check "table: nothing is missing" test "$(count '^not ' <sweep/table.txt)" = 0
check "train: completed" test "$(state "$train" COMPLETED)" = 1
check "train: a model and its curve" test -s trained.h5 -a -s trained.h5.json
check "recover: completed" test "$(state "$recover" COMPLETED)" = 1
check "recover: as the task of the sweep" cmp recovered.h5 sweep/random-0.75-none.recovered.h5
"$ESPALIER" train tickets/level-1.h5 -d data --epochs 1 --rate 0.002 --batch 64 --micro-batch 16 --policy tickets \
  --rewind tickets/level-0.h5.early.h5 --save-step 0 -o alone.h5 --quiet >>train.log
check "tickets: three levels completed" test "$(state "$tickets" COMPLETED)" = 3
check "tickets: two levels with two controls each" test "$(column tickets/tickets.csv branch | wc -w)" = 7
check "tickets: 0.8 of what is left" test "$(column tickets/tickets.csv left | xargs printf '%.2f\n' | sort -u | xargs)" = "0.64 0.80 1.00"
check "tickets: as one rank makes them" cmp alone.h5 tickets/level-2.h5
check "scaling: completed" test "$(state "$scaling" COMPLETED)" = 1
check "scaling: three rank counts" test "$(column scaling/scaling.csv ranks | tr ' ' '\n' | sort -u | wc -l)" = 3
check "scaling: the same units" grep -q "^selection checksum [0-9a-f]* at every rank count$" scaling/scaling.txt
# A collection that Slurm warns before its time limit stops at a finished site; queued again it goes on from there.
gpt2=$root/tests/models/gpt2
long_collection() { ESPALIER_REQUEUES=0 submit "$root/slurm/collect.sbatch" "$gpt2" "$gpt2/calibration.h5" long.h5 --save-every 0; }
has_begun() { [[ -e long.h5.journal ]] && (($(stat -c %s long.h5.journal) > 700)); }
warned=$(long_collection)
check "interrupted: it has begun" wait_until 60 has_begun
scancel --signal=USR1 --batch "$warned"
check "interrupted: the job ends" wait_until 60 is_empty
check "interrupted: it has failed, with exit code 6" test "$(scontrol show job "$warned" | grep -c "ExitCode=6:0")" = 1
check "interrupted: no statistics" test ! -e long.h5
again=$(long_collection)
check "gone on: the job ends" wait_until 120 is_empty
check "gone on: completed" test "$(state "$again" COMPLETED)" = 1
check "gone on: it says so" grep -q "resuming after" "espalier-collect-$again.log"
check "gone on: nothing left" test "$(echo long.h5*)" = "long.h5 long.h5.json"
check "the cluster is still there" is_idle
cat sweep/table.txt scaling/scaling.txt
stop_cluster
check "the cluster is gone" is_gone
exit $((failures > 0))
