#!/usr/bin/env bash
# NaN and infinity in weights, activations, statistics and training; what fails halfway leaves no trace.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

poison() { # SOURCE FILE DATASET ESCAPES: the third float32 of the data set
  cp "$1" "$2"
  patch "$2" $(($(offset_of "$2" "$3") + 8)) "$4"
}
all_commands() { # NAME TEXT
  expect_failure "eval: $1" "$2" -- eval bad.h5 -d "$data" --no-speed
  expect_failure "collect: $1" "$2" -- collect bad.h5 -d "$data" "${collection[@]}" -o "$out/s.h5"
  expect_failure "prune: $1" "$2" -- prune bad.h5 -d "$data" "${collection[@]}" -o "$out/p.h5"
}

poison "$model" bad.h5 /model/layers.0.weight "$nan"
all_commands "NaN in the first weights" "expected finite numbers"
echo old >old.h5
keeps_old() { ! espalier collect bad.h5 -d "$data" "${collection[@]}" -o old.h5 && [[ $(<old.h5) == old ]]; }
check "a failure keeps the old output" keeps_old
check "and leaves no .partial" test ! -e old.h5.partial
poison "$model" bad.h5 /model/layers.2.bias "$nan"
all_commands "NaN in the last bias" "expected finite numbers"
poison "$model" bad.h5 /model/layers.0.weight "$huge$huge"
all_commands "activations overflow" "finite"
for what in mean variance; do
  cp "$stats" bad.h5
  patch bad.h5 "$(offset_of bad.h5 "/hidden.0/$what")" '\0\0\0\0\0\0\370\177'
  expect_failure "statistics: NaN in the $what" "finite" -- prune "$model" --stats bad.h5 --repair bias -o "$out/p.h5" --moments codes
done
poison "$stats" bad.h5 /hidden.0/covariance "$nan"
expect_failure "statistics: NaN in the covariance" "finite" -- prune "$model" --stats bad.h5 --repair none -o "$out/p.h5"
expect_failure "statistics: NaN, least squares" "finite" -- \
  prune "$model" --stats bad.h5 --criterion random --repair least-squares -o "$out/p.h5"
expect_failure "training diverges" "diverged" -- \
  train -d "$data" --hidden 16 --epochs 4 --rate 100 --optimizer sgd --warmup 0 --micro-batch 16 -o "$out/m.h5"
finish
