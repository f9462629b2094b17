#!/usr/bin/env bash
# espalier export: what comes out opens again and is the same, at any number of ranks; complete or absent.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

must export "$model" mlp --quiet
check "a perceptron: the same accuracy" test "$(must eval "$model" -d "$data" --no-speed --json - && get stdout results 0 loss_nats)" \
  = "$(must eval mlp -d "$data" --no-speed --json - && get stdout results 0 loss_nats)"

must export "$llama" whole --json -
for key in model output family parameters weight_files weight_bytes source copied_files; do
  check "export: $key" get stdout $key
done
check "one file" test "$(get stdout weight_files)" = 1
check "no index" test ! -e whole/model.safetensors.index.json
for file in tokenizer.json tokenizer_config.json generation_config.json; do
  check "$file is copied" cmp "$llama/$file" "whole/$file"
done
check "token files are not copied" test ! -e whole/heldout.h5

must export "$llama" shards --max-shard-bytes 1M
check "shards" test "$(ls shards/*.safetensors | wc -l)" = 4
check "an index" test -e shards/model.safetensors.index.json
must export shards again
check "shards hold what one file holds" diff -r whole again
run 1 export "$llama" alone --max-shard-bytes 1M >stdout 2>>"$ERRORS"
check "the same bytes from one rank" diff -r shards alone

mkdir st st/1_Pooling
cp "$llama"/*.json "$llama/model.safetensors" st/
echo '{"pooling_mode_mean_tokens": true}' >st/1_Pooling/config.json
echo '[{"idx": 0, "path": ""}, {"idx": 1, "path": "1_Pooling"}]' >st/modules.json
echo card >st/README.md
echo code >st/modeling_own.py
echo old >st/pytorch_model.bin
must export st st.out
for file in 1_Pooling/config.json modules.json README.md modeling_own.py tokenizer.json; do
  check "belongs to the model: $file" cmp "st/$file" "st.out/$file"
done
check "no weights of the old model" test ! -e st.out/pytorch_model.bin
check "what is not copied is named" grep -q 'not copied from st: .*pytorch_model.bin' "$ERRORS"
check "custom code is pointed out" grep -q '1 files of custom code' "$ERRORS"

must prune "$llama" -d "$llama" --samples 6 --micro-batch 2 --pilot 256 --fisher-tokens 0 --sparsity 0.25 --allocation uniform --repair none --no-stability -o pruned.h5 --quiet
must export pruned.h5 pruned
check "pruned: the tokenizer of the original" cmp "$llama/tokenizer.json" pruned/tokenizer.json
check "pruned: intermediate size" grep -q '"intermediate_size": 384' pruned/config.json
cut_tokens 8 "$llama/heldout.h5" few.h5
must eval pruned.h5 pruned -d few.h5 --no-speed --json eval.json
check "pruned: the same perplexity" test "$(get eval.json results 0 perplexity)" = "$(get eval.json results 1 perplexity)"
must export pruned.h5 other --source shards --json -
check "--source" test "$(get stdout source)" = shards
mkdir empty
check "into an empty folder" must export pruned.h5 empty/
check "into an empty folder: complete" test -e empty/model.safetensors

must export "$model" unknown
check "images: no tokenizer is missed" eval '! grep -q -- --source "$ERRORS"'
cp -r "$llama" gone
must prune gone -d "$llama/calibration.h5" --samples 24 --criterion random --repair none --sparsity 0.25 -o homeless.h5
rm -r gone
must export homeless.h5 homeless
check "no original: a warning" grep -q -- --source "$ERRORS"
check "nothing is left beside" eval '! ls -d -- *.partial'

: >whole/keep
expect_failure "a folder that is not empty" "not empty" -- export "$llama" whole
check "it is left alone" test -e whole/keep -a -e whole/model.safetensors
expect_failure "no folder to write in" "No such file" -- export "$llama" out/none/x
expect_failure "a file in the way" "not a folder" -- export "$llama" whole/keep
expect_failure "no such source" "--source" -- export "$llama" out/x --source none
expect_failure "no such model" "cannot open" -- export none out/x
expect_failure "no folder named" "found 1 arguments" -- export "$llama"
expect_failure "shards of no bytes" "max" -- export "$llama" out/x --max-shard-bytes 0

LIMIT=2056
if starts_limited; then
  runner=run_limited expect_failure "a limit on file sizes" "limit on file sizes" -- export "$llama" out/x
fi
finish
