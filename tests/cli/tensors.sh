#!/usr/bin/env bash
# Tensors of a checkpoint that are stored otherwise: wider.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# edit ARGUMENT...: ./edited is the llama with other tensors (edit_tensors).
edit() {
  rm -rf edited && mkdir edited && cp "$llama/config.json" edited/
  "$HELPERS/edit_tensors" "$llama/model.safetensors" edited/model.safetensors "$@"
}
measure() { must eval "$1" -d "$llama/heldout.h5" --no-speed --json result.json "${@:2}"; }
figure() { get result.json results 0 perplexity; }
types_of() { must info "$1" --json info.json && grep -c '"F64"' info.json; }

measure "$llama" --quiet
dense=$(figure)

edit --f64
measure edited
check "F64: the perplexity of BF16" test "$(figure)" = "$dense"
check "F64: said once" test "$(grep -c 'are F64: rounded to float32 when read, written as F64' "$ERRORS")" = 1
count=$(types_of edited)
must prune edited -d "$llama/calibration.h5" --samples 2 --micro-batch 1 --pilot 64 --fisher-tokens 0 --no-stability \
  --criterion magnitude --repair none --sites ffn=0.5 -o p.h5 --quiet
check "F64: pruned weights are F64" test "$(types_of p.h5)" = "$count"
must export p.h5 folder --source edited --quiet
check "F64: exported weights are F64" test "$(types_of folder)" = "$count"
finish
