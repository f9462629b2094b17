#!/usr/bin/env bash
# Models, statistics and selections are bit for bit the same at any number of ranks and threads.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

for ranks_threads in 1,1 1,2 2,1 3,2 4,1 7,1; do
  ranks=${ranks_threads%,*} folder=np$ranks_threads
  mkdir "$folder"
  cd "$folder"
  export OMP_NUM_THREADS=${ranks_threads#*,}
  run "$ranks" collect "$model" -d "$data" "${collection[@]}" -o s.h5 >/dev/null
  run "$ranks" prune "$model" --stats s.h5 --repair none --sparsity 0.6 -o p.h5 | grep checksum >checksum
  cd ..
  check "$folder: statistics" cmp "$stats" "$folder/s.h5"
  check "$folder: a checksum" grep -qE '^selection checksum: [0-9a-f]{16}$' "$folder/checksum"
  check "$folder: selection" cmp np1,1/checksum "$folder/checksum"
  check "$folder: pruned model" cmp np1,1/p.h5 "$folder/p.h5"
done
export OMP_NUM_THREADS=1

for ranks in 1 2 3; do
  mkdir "train$ranks"
  (cd "train$ranks" && run $ranks train -d "$data" --hidden 24,16 --epochs 3 --batch 64 --micro-batch 16 -o m.h5 >/dev/null)
  check "np$ranks: trained model" cmp train1/m.h5 "train$ranks/m.h5"
done

# Systems as small as these are factored by every rank.
cut_tokens 6 "$llama/calibration.h5" few.h5
for ranks in 1 2 3; do
  run $ranks prune "$model" --stats "$stats" --sparsity 0.6 -o "seq$ranks.h5" >/dev/null
  run $ranks prune "$llama" -d few.h5 --sites ffn,attention.1 --micro-batch 1 --fisher-tokens 0 --no-stability --allocation uniform \
    --sparsity 0.5 -o "llama$ranks.h5" >/dev/null
  for name in seq llama; do
    check "np$ranks: $name, kept units" h5diff ${name}1.h5 $name$ranks.h5 /kept
    check "np$ranks: $name, weights after sequential repair" h5diff ${name}1.h5 $name$ranks.h5 /model
  done
done
finish
