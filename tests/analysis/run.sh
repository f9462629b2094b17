#!/usr/bin/env bash
# analysis/*.py on files that the program has just written.
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
python=
for candidate in python3 /usr/bin/python3; do # Debian's packages belong to the second
  if "$candidate" -c 'import h5py, matplotlib, numpy' 2>/dev/null; then python=$candidate && break; fi
done
[[ $python ]] || { echo "skipped: no Python with h5py, NumPy and matplotlib here" && exit 77; }
. "$root/tests/cli/lib.sh"

report() { "$python" "$root/analysis/report.py" "$@"; }
for criterion in random set-mi; do
  for sparsity in 0.5 0.75; do
    must prune "$model" --stats "$stats" --criterion $criterion --sparsity $sparsity -o "$criterion-$sparsity.h5"
  done
done
for pruned in set-mi-*.h5; do
  must recover "$pruned" -d "$data" --micro-batch 16 --batch 64 --epochs 1 -o "${pruned%.h5}.recovered.h5" \
    --json "${pruned%.h5}.recovered.json"
done
must eval "$model" ./*.h5 -d "$data" --repeats 1 --json eval.json
must train -d "$data" --micro-batch 16 --epochs 2 -o new.h5 --json new.json
must prune "$model" --stats "$stats" --recover-tokens 256 --micro-batch 16 -o together.h5
for ranks in 1 2 3; do RANKS=$ranks must prune "$model" --stats "$stats" -o "ranks-$ranks.h5"; done
must prune "$llama" --data "$llama/calibration.h5" --samples 64 --pilot 64 --micro-batch 8 --sites ffn -o bf16.h5
must collect "$llama" --data "$llama/calibration.h5" --samples 32 --micro-batch 4 --pilot 32 --fisher-tokens 512 -o llama.h5
prune_llama() { must prune "$llama" --repair none "$@"; }
prune_llama --stats llama.h5 --metric fisher --allocation global -o global.h5
prune_llama --stats llama.h5 --structure unstructured --criterion wanda -o masks.h5
prune_llama --stats llama.h5 --sites block=0.25 --criterion block -o block.h5
prune_llama --criterion magnitude -o unmeasured.h5
must prune "$model" --data maximum-entropy --samples 64 --micro-batch 16 --criterion max-entropy --repair none -o made.h5
must prune "$model" --data "$data" --samples 64 --micro-batch 16 -o few.h5

check "a page is made" report random-*.report.json set-mi-*.report.json ranks-*.report.json --eval eval.json \
  --training set-mi-*.recovered.json -o page.html
check "a page of what is rarer" report {global,masks,block,unmeasured,made,few}.h5.report.json -o others.html
check "a page of a training alone" report --training new.json -o training.html
check "a training: its curve" grep -q '<h2>Training curves</h2>' training.html
check "a training: no runs" eval '! grep -q "<h2>Summary" training.html'
check "a page of a pruning with its recovery" report together.h5.report.json -o together.html
check "a recovery: its curve" grep -q '<h2>Training curves</h2>' together.html
echo 'late: <never> started' >failed.txt
check "a page with failed tasks" report bf16.h5.report.json --failed failed.txt -o failed.html
check "failed tasks are named" grep -q '<li>late: &lt;never&gt; started</li>' failed.html
check "no failed tasks, no section" eval '! grep -q "Failed tasks" others.html'
check "what it says" "$python" "$root/tests/analysis/check.py" "$root" set-mi-0.75.h5 bf16.h5 page.html others.html
cat check.log
check "a page without eval" report bf16.h5.report.json -o bf16.html
check "no quality without eval" eval '! grep -q "Quality against" bf16.html'
check "load lists" "$python" "$root/analysis/load.py" bf16.h5
refuses() { ! report "$@" -o refused.html 2>message && grep -q "$1" message && [[ ! -e refused.html ]]; }
echo '{"criterion": "mi"}' >other.json
check "another JSON file is refused" refuses other.json
echo '{' >broken.json
check "broken JSON is refused" refuses broken.json
check "a missing file is refused" refuses missing.json
no_training() { ! report --training "$1" -o refused.html 2>message && grep -q "no result of espalier train" message; }
check "a training that is none" no_training eval.json
check "nothing at all" eval '! report -o refused.html 2>message && grep -q "found neither" message'
not_loaded() { ! "$python" "$root/analysis/load.py" "$1" 2>message && grep -q "not a model" message; }
check "statistics are no model" not_loaded "$stats"
finish
