#!/usr/bin/env bash
# Tensors of a checkpoint that are stored otherwise (wider, under other names), and those that no weight uses.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# edit ARGUMENT...: ./edited is the llama with other tensors (edit_tensors).
edit() {
  rm -rf edited && mkdir edited && cp "$llama/config.json" edited/
  "$HELPERS/edit_tensors" "$llama/model.safetensors" edited/model.safetensors "$@"
}
cut_tokens 16 "$llama/heldout.h5" few.h5
measure() { must eval "$1" -d few.h5 --no-speed --json result.json "${@:2}"; }
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

layer=model.layers.0.self_attn
edit $layer.rotary_emb.inv_freq:I64:16 $layer.rotary_emb.cos_cached:F64:64 model.position_ids:I64:32 $layer.bias:BOOL:4
expect_failure "a tensor that ends almost like a buffer" "tensor 'model.layers.0.self_attn.bias'" -- eval edited -d few.h5 --no-speed
edit $layer.rotary_emb.inv_freq:I64:16 $layer.rotary_emb.cos_cached:F64:64 model.embeddings.position_ids:I64:32 \
  h.0.attn.bias:BOOL:4 h.0.attn.masked_bias:U8:4 norm.num_batches_tracked:F8_E4M3:8
measure edited --quiet
check "buffers of any type: the same perplexity" test "$(figure)" = "$dense"
check "buffers of any type: not a word" test ! -s "$ERRORS"

edit v_head.summary.weight:F32:768 $layer.k_scale:F8_E4M3:1
for command in info "eval --no-speed -d few.h5" "plan -d $llama/calibration.h5 --sparsity 0.5"; do
  # shellcheck disable=SC2086
  expect_failure "${command%% *}: stray tensors" "'model.layers.0.self_attn.k_scale' (and 1 more) has no place" -- $command edited
done
expect_failure "strays that are not named" "tensor 'v_head.summary.weight' has no place" -- info edited --ignore-tensors '*_scale'
measure edited --ignore-tensors 'v_head.*,*_scale'
check "ignored by name: the same perplexity" test "$(figure)" = "$dense"
check "ignored by name: said once" test "$(grep -c '2 tensors ignored by --ignore-tensors' "$ERRORS")" = 1
must prune edited -d "$llama/calibration.h5" --samples 2 --micro-batch 1 --pilot 64 --fisher-tokens 0 --no-stability \
  --criterion magnitude --repair none --sites ffn=0.5 --ignore-tensors '*_scale,v_head*' -o p.h5 --quiet
must info p.h5 --json info.json
check "ignored by name: not pruned" test "$(grep -c 'v_head.summary\|k_scale' info.json)" = 0
rm -rf folder && must export edited folder --ignore-tensors '*_scale,v_head*' --quiet
measure folder --quiet
check "ignored by name: not exported" test "$(figure)" = "$dense"
measure "$llama" --ignore-tensors '*norm.weight' --quiet
check "a weight that is needed is read" test "$(figure)" = "$dense"
check "a pattern without effect" grep -q "names no tensor that the model does without" "$ERRORS"

edit --prefix _orig_mod.
expect_failure "names of a wrapper" "do not begin with '_orig_mod.'" -- info edited
finish
