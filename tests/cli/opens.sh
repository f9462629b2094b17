#!/usr/bin/env bash
# The default prune of every family gives a folder that transformers' own class opens, by its configuration; what opens a
# result is said. (That transformers really opens them, with the same logits, was tried: docs/results.md.)
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
golden=$tests/golden/transformers
loader=analysis/checkpoints/load_pruned.py

numbers 16 20 61 1 | add_column tokens.h5 tokens 16,20
numbers 16 1 2 2 | add_column tokens.h5 labels 16
brief=(-d tokens.h5 --micro-batch 4 --fisher-tokens 80 --repair none --no-stability)

# Of an exported folder: a number of its configuration, 0 where it is absent.
number() { awk -v key="\"$2\":" '$1 == key { gsub(/[^0-9]/, "", $2); found = $2 + 0 } END { print found + 0 }' "$1/config.json"; }
# Sizes that the classes can be told: one for all layers; heads that divide the hidden size, where it says the head size
# (GPT-2, BERT) or is checked (Llama).
is_plain() {
  local hidden heads
  ! grep -q per_layer_config "$1/config.json" || return 1
  case $(sed -n 's/.*"model_type": "\(.*\)".*/\1/p' "$1/config.json") in
  gpt2) hidden=$(number "$1" n_embd) heads=$(number "$1" n_head) ;;
  bert) hidden=$(number "$1" hidden_size) heads=$(number "$1" num_attention_heads) ;;
  llama) hidden=$(number "$1" hidden_size) heads=$(number "$1" num_attention_heads) && ((hidden % heads == 0)) && return ;;
  *) return 0 ;;
  esac
  ((hidden % heads == 0)) && ! grep -q head_dim "$1/config.json"
}

# try NAME MODEL OPTION...: what prune and export print, and the folder out.
try() {
  must prune "$2" "${brief[@]}" "${@:3}" -o "$1.h5" --json report.json --quiet
  mv stdout pruned
  must export "$1.h5" "$1" --quiet
}
opens() { # WITH
  grep -q "^opens with: $1, once exported" pruned && grep -q "^opens with: $1" stdout && [[ $(get report.json opens_with) == "$1" ]]
}

for name in bert-classifier-f32 bert-encoder-bf16 bert-mlm-f16 bert-regression-f32 gpt2-f32 llama-bias-f16 llama-gqa-linear-bf16 \
  llama-mha-f32 mistral-bf16 qwen2-bf16 qwen3-f32; do
  try "$name" "$golden/$name"
  check "$name: smaller" test "$(get report.json parameters)" -lt "$(get report.json parameters_dense)"
  check "$name: plain" is_plain "$name"
  check "$name: said" opens transformers
done
check "qwen3: heads go too" test "$(get report.json sites 0 site)" = attention.0
try gpt2 "$golden/gpt2-f32"
check "gpt2: heads are left alone" test "$(get report.json sites 0 site)" = ffn.0
check "gpt2: what would cut more" grep -q -- "--sites ffn,attention cuts them too, and needs $loader" pruned

# Asked for by name.
try heads "$golden/gpt2-f32" --sites ffn,attention --allocation uniform
check "heads: the loader" opens "$loader"
check "heads: why" grep -q "2 heads x 6 is not the hidden size 24" pruned
check "heads: not plain" eval '! is_plain heads'
try global "$golden/bert-mlm-f16" --allocation global
check "layers: the loader" opens "$loader"
check "layers: why" grep -q "(layers have different sizes)" pruned
try width "$golden/bert-mlm-f16" --sites width=0.25 --criterion magnitude
check "the width: the loader" opens "$loader"
must prune "$model" --stats "$stats" --repair none -o mlp.h5 --quiet
check "perceptrons: nothing else has them" eval '! grep -q "opens with" stdout'
finish
