#!/usr/bin/env bash
# What is not the file that was meant is named, with what to do about it.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

pointer() { printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 3939696\n' 0 >"$1"; }

for name in model.safetensors config.json; do
  rm -rf m && mkdir m && cp "$llama/config.json" "$llama/model.safetensors" m/
  pointer "m/$name"
  expect_failure "git-lfs: $name" "m/$name is a pointer of git-lfs" -- info m
done
mkdir d
pointer d/calibration.h5
cp d/calibration.h5 p.h5
expect_failure "git-lfs: calibration data in a folder" "calibration.h5 is a pointer of git-lfs" -- eval "$llama" -d d --split train --no-speed
expect_failure "git-lfs: calibration data" "pointer of git-lfs" -- eval "$llama" -d p.h5 --no-speed
expect_failure "git-lfs: a pruned model" "p.h5 is a pointer of git-lfs" -- info p.h5
expect_failure "git-lfs: statistics" "p.h5 is a pointer of git-lfs" -- prune "$llama" --stats p.h5 -o out/x.h5

for weights in adapter_model.safetensors adapter_model.bin ""; do
  rm -rf m && mkdir m && echo '{"peft_type": "LORA"}' >m/adapter_config.json
  [[ -z $weights ]] || cp "$llama/model.safetensors" "m/$weights"
  expect_failure "an adapter alone: ${weights:-no weights}" "merge it into its base model" -- info m
  cp "$llama/config.json" m/
  expect_failure "an adapter beside a configuration: ${weights:-no weights}" "merge it into its base model" -- info m
done
cp "$llama/model.safetensors" m/
check "a whole model beside an adapter's configuration" must info m

# Few rows for 16 bins.
must collect "$model" -d "$data" "${collection[@]}" --samples 128 --bins 16 -o few.h5 --quiet
must prune "$model" --stats few.h5 --criterion mi --repair none --no-stability --sparsity 0.3 -o few.pruned.h5 --quiet
check "few samples: how many more" grep -Eq 'collect more samples \(([2-9]|1\.[1-9]|[1-9][0-9]+)(\.[0-9])? times as many\)' "$ERRORS"
finish
