#!/usr/bin/env bash
# Hugging Face checkpoints: the trained models' known figures, one selection at any number of ranks, and checkpoints
# that are damaged or that Espalier does not do.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

tokens=$llama/heldout.h5

# A relative difference below 1e-4 from what the reference implementation found.
is_near() { awk "BEGIN { d = $1 / $2 - 1; exit !(d < 1e-4 && d > -1e-4) }"; }

for entry in llama/perplexity bert/accuracy; do
  name=${entry%/*} figure=${entry#*/}
  must eval "$tests/models/$name" -d "$tests/models/$name/heldout.h5" --no-speed --json "$name.json" --quiet
  check "$name: $figure" is_near "$(get "$name.json" results 0 "$figure")" "$(get "$tests/models/$name/dense.json" "$figure")"
done

for name in llama gpt2 bert; do
  folder=$tests/models/$name
  for ranks in 1 2 3; do
    run $ranks collect "$folder" -d "$folder/calibration.h5" --samples 6 --micro-batch 2 --no-width --fisher-tokens 256 -o "$name$ranks.h5" --quiet >/dev/null
    run $ranks prune "$folder" --stats "$name$ranks.h5" --sites ffn=0.5,attention=0.34 --repair none --no-stability -o p.h5 --quiet |
      grep checksum >"$name$ranks"
    check "$name: statistics at np $ranks" cmp "${name}1.h5" "$name$ranks.h5"
    check "$name: selection at np $ranks" cmp "${name}1" "$name$ranks"
  done
done

# Sites ranked by several ranks at once (set-mi), and one at a time (mi): 8 sites, 3 ranks do not divide them.
RANKS=2 make_narrow "$llama" narrow.h5
must collect narrow.h5 -d "$llama/calibration.h5" --samples 12 --micro-batch 4 --no-width --fisher-tokens 256 -o narrow.stats.h5
for ranks in 1 3 4; do
  for options in "--metric outputs" "--moments codes" "--criterion mi"; do
    # shellcheck disable=SC2086
    run $ranks prune narrow.h5 --stats narrow.stats.h5 $options --sparsity 0.34 --repair none --no-stability -o p.h5 --allow-idle --quiet |
      grep checksum >"ranked.${options// /}.$ranks"
    check "narrow llama $options: selection at np $ranks" cmp "ranked.${options// /}.1" "ranked.${options// /}.$ranks"
  done
done

copy() { rm -rf bad && mkdir bad && cp "$1"/config.json "$1"/*.safetensors* bad/; }
refuse() { expect_failure "$1" "$2" -- eval bad -d "$tokens" --no-speed; }
change() { sed -i "s/\"$1\": [^,]*/\"$1\": $2/" bad/config.json; }

copy "$llama" && change model_type '"mamba"' && refuse "unknown family" "unknown model_type 'mamba'"
copy "$llama" && change num_key_value_heads 4 && refuse "heads not divisible" "num_key_value_heads"
copy "$llama" && change intermediate_size 500 && refuse "tensor of another shape" "expected shape (500"
copy "$llama" && change num_hidden_layers 5 && refuse "tensor missing" "expected a tensor 'model.layers.4."
copy "$llama" && change hidden_act '"swish5"' && refuse "unknown activation" "swish5"
copy "$llama" && echo '{' >bad/config.json && refuse "configuration is not JSON" "bad: expected a JSON object"
copy "$llama" && rm bad/config.json && refuse "no configuration" "config.json"
copy "$llama" && rm bad/model.safetensors && refuse "no weights" "safetensors"
copy "$llama" && head -c -7 "$llama/model.safetensors" >bad/model.safetensors && refuse "weights cut short" "model.safetensors"
copy "$llama" && patch bad/model.safetensors $(($(stat -c %s bad/model.safetensors) - 2)) '\300\177' &&
  refuse "NaN in the weights" "expected finite numbers"
copy "$tests/golden/transformers/llama-llama3-sharded-bf16" && rm "$(ls bad/*.safetensors | tail -n 1)" &&
  refuse "a shard is missing" "model-0"
copy "$tests/golden/transformers/llama-mha-f32" && refuse "sequences or ids beyond the model" "expected"
expect_failure "images for a language model" "expected a token file" -- eval "$llama" -d "$data" --no-speed
expect_failure "a kind of site it lacks" "attention, ffn" -- \
  prune "$llama" --stats llama1.h5 --sites hidden --repair none -o "$out/p.h5"
finish
