#!/usr/bin/env bash
# The data sets, the model and the statistics that the other scripts use.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

make_set() { # NAME SIDE CLASSES
  mkdir -p "$SHARED/$1"
  "$HELPERS/make_data" "$SHARED/$1" "$2" "$3" 600 200
}

rm -rf "$SHARED"
make_set data 8 4
make_set other 9 4
make_set more-classes 8 6
gzip "$data"/train-* # one split compressed, the other plain
training=(train -d "$data" --hidden 24,16 --epochs 8 --batch 64 --micro-batch 16)
must "${training[@]}" -o "$model"
must "${training[@]}" --seed 2 -o "$SHARED/model2.h5"
must collect "$model" -d "$data" "${collection[@]}" -o "$stats"
must eval "$model" -d "$data" --json eval.json --repeats 1
check "the model has learnt" awk -v x="$(get eval.json results 0 accuracy)" 'BEGIN { exit !(x > 0.7) }'
finish
