#!/usr/bin/env bash
# Tables and page of a sweep from what lies in its folder: table.txt, table.md and table.csv, and report.html where Python has
# h5py, NumPy and matplotlib. espalier sweep and slurm/gather.sbatch call it; by hand it makes them anew:
#   analysis/gather.sh SWEEP FOLDER
# ESPALIER_PYTHON names another Python than python3; its standard library is enough for the tables.
set -euo pipefail
(($# == 2)) || { echo "usage: analysis/gather.sh SWEEP FOLDER" >&2; exit 1; }
sweep=$1 folder=$2
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
python=${ESPALIER_PYTHON:-python3}
shopt -s nullglob
rm -f "$folder/report.html" # of what lay there before
"$python" "$here/gather.py" "$sweep" "$folder"
list=$("$python" "$here/gather.py" --list "$sweep" "$folder")
[[ $list ]] || exit 0
"$python" -c 'import h5py, matplotlib, numpy' 2>/dev/null || exit 0 # gather.py has said why there is no page
mapfile -t pruned <<<"$list"
failed=()
[[ ! -e $folder/failed.txt ]] || failed=(--failed "$folder/failed.txt")
reports=() trainings=()
for path in "${pruned[@]}"; do
  if [[ $path == *.recovered.h5 ]]; then trainings+=("${path%.h5}.json"); else reports+=("$path.report.json"); fi
done
"$python" "$here/report.py" "${reports[@]}" --training "${trainings[@]}" "${failed[@]}" --eval "$folder"/eval.*.json \
  -o "$folder/report.html"
