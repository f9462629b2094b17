#!/usr/bin/env bash
# A weight that is stored twice: equal copies are one weight, others make a head of its own, as in a checkpoint that says so.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# A safetensors file's header, and its parts: length_of FILE, header_of FILE, entry_of FILE TENSOR
length_of() { od -An -t u8 -N 8 "$1" | tr -d ' '; }
header_of() { head -c $((8 + $(length_of "$1"))) "$1" | tail -c +9; }
entry_of() { header_of "$1" | grep -o "\"$2\":{[^}]*}"; }

# The bytes of a tensor: values_of FILE TENSOR
values_of() {
  local bounds first
  bounds=$(entry_of "$1" "$2" | sed 's/.*"data_offsets":\[\([0-9]*\),\([0-9]*\)\].*/\1 \2/')
  first=$(($(length_of "$1") + 8))
  head -c $((first + ${bounds#* })) "$1" | tail -c "+$((first + ${bounds% *} + 1))"
}

# Write a file's header anew: put_header FILE HEADER
put_header() {
  local length=${#2} shift data
  data=$(($(length_of "$1") + 9))
  {
    # shellcheck disable=SC2059
    for shift in 0 8 16 24 32 40 48 56; do printf "\\$(printf %03o $((length >> shift & 255)))"; done
    printf %s "$2"
    tail -c "+$data" "$1"
  } >new.safetensors
  mv new.safetensors "$1"
}

# Add a tensor of another's type and shape, with the bytes of stdin: add_tensor FILE NAME LIKE
add_tensor() {
  local entry begin end header
  begin=$(($(stat -c %s "$1") - 8 - $(length_of "$1")))
  cat >>"$1"
  end=$(($(stat -c %s "$1") - 8 - $(length_of "$1")))
  entry=$(entry_of "$1" "$3" | sed "s/^\"$3\"/\"$2\"/")
  entry="${entry%%\"data_offsets\"*}\"data_offsets\":[$begin,$end]}"
  header=$(header_of "$1")
  put_header "$1" "{$entry,${header#\{}"
}

rename_tensor() { put_header "$1" "$(header_of "$1" | sed "s/\"$2\":/\"$3\":/")"; }
copy() { rm -rf "$2" && mkdir "$2" && cp "$1/config.json" "$1/model.safetensors" "$2/"; }
turned() { cat >values && tail -c +49 values && head -c 48 values; } # other values, as finite
untie() { sed -i '/"tie_word_embeddings"/d; 0,/{/s//{ "tie_word_embeddings": false,/' "$1/config.json"; }
loss() { must eval "$1" -d "$tokens" --no-speed --json eval.json && get eval.json results 0 loss_nats; }
has() { entry_of "$1" "$2"; }
is_quiet() { ! grep -q warning "$ERRORS"; }
warns_once() { test "$(grep -c 'other values are stored' "$ERRORS")" = 1; }

# try FAMILY FOLDER HEAD EMBEDDING
try() {
  local name=$1 plain own
  tokens=$1.h5
  cut_tokens 4 "$2/heldout.h5" "$tokens"
  plain=$(loss "$2")
  copy "$2" m && values_of m/model.safetensors "$4" | add_tensor m/model.safetensors "$3" "$4"
  check "$name, equal copies: the same figure" test "$(loss m)" = "$plain"
  check "$name, equal copies: no word of it" is_quiet
  rename_tensor m/model.safetensors "$4" unknown.weight
  expect_failure "$name: a stray copy" "unknown.weight" -- eval m -d "$tokens" --no-speed
  copy "$2" m && rename_tensor m/model.safetensors "$4" "$3"
  check "$name, the head's name alone: the same figure" test "$(loss m)" = "$plain"
  copy "$2" m && values_of "$2/model.safetensors" "$4" | turned | add_tensor m/model.safetensors "$3" "$4"
  rm -rf own && cp -r m own && untie own
  own=$(loss own)
  check "$name: another figure with another head" test "$own" != "$plain"
  check "$name, other copies: the figure of the untied" test "$(loss m)" = "$own"
  check "$name, other copies: one warning" warns_once
  check "$name, other copies: export" must export m exported
  check "$name, other copies: the head is exported" has exported/model.safetensors "$3"
  check "$name, other copies: it is untied" test "$(get exported/config.json tie_word_embeddings)" = false
  check "$name, other copies: the figure of the exported" test "$(loss exported)" = "$own"
  check "$name: the exported is opened without a word" is_quiet
  rm -rf exported
}

try llama "$llama" lm_head.weight model.embed_tokens.weight
try gpt2 "$gpt2" lm_head.weight transformer.wte.weight

# A head that fits no embedding.
copy "$llama" m && values_of m/model.safetensors model.norm.weight | add_tensor m/model.safetensors lm_head.weight model.norm.weight
expect_failure "a head of another shape" "expected shape (2048, 192)" -- eval m -d "$tokens" --no-speed

# Nor one of the same bytes that are no numbers of a weight.
copy "$llama" m && values_of m/model.safetensors model.embed_tokens.weight |
  add_tensor m/model.safetensors lm_head.weight model.embed_tokens.weight
put_header m/model.safetensors "$(header_of m/model.safetensors | sed 's/"lm_head.weight":{"dtype":"[A-Z0-9]*"/"lm_head.weight":{"dtype":"U16"/')"
expect_failure "a head of another type" "convert the weights" -- eval m -d "$tokens" --no-speed

# BERT's decoder: two pairs of names.
mlm=$tests/golden/transformers/bert-mlm-f16 tokens=bert.h5
numbers 4 16 61 7 | add_column "$tokens" tokens 4,16
words=bert.embeddings.word_embeddings.weight bias=cls.predictions.bias decoder=cls.predictions.decoder
# add FOLDER NAME LIKE FILTER
add() { values_of "$mlm/model.safetensors" "$3" | $4 | add_tensor "$1/model.safetensors" "$2" "$3"; }
plain=$(loss "$mlm")
copy "$mlm" m && add m $decoder.weight $words cat && add m $decoder.bias $bias cat
check "bert, equal copies: the same figure" test "$(loss m)" = "$plain"
check "bert, equal copies: no word of it" is_quiet
copy "$mlm" m && rename_tensor m/model.safetensors $words $decoder.weight && rename_tensor m/model.safetensors $bias $decoder.bias
check "bert, the decoder's names alone: the same figure" test "$(loss m)" = "$plain"
for other in weight bias; do
  declare -A filter=([weight]=cat [bias]=cat) like=([weight]=$words [bias]=$bias)
  filter[$other]=turned
  copy "$mlm" m && add m $decoder.$other "${like[$other]}" turned
  copy "$mlm" own && untie own
  for part in weight bias; do add own $decoder.$part "${like[$part]}" "${filter[$part]}"; done
  own=$(loss own)
  check "bert, another $other: another figure" test "$own" != "$plain"
  check "bert, another $other: the figure of the untied" test "$(loss m)" = "$own"
  check "bert, another $other: one warning" warns_once
  check "bert, another $other: export" must export m exported
  check "bert, another $other: the figure of the exported" test "$(loss exported)" = "$own"
  rm -rf exported
done

# What is pruned from it has the head of its own, too.
copy "$llama" m && values_of m/model.safetensors model.embed_tokens.weight | turned |
  add_tensor m/model.safetensors lm_head.weight model.embed_tokens.weight
copy m own && untie own
tokens=llama.h5
for name in m own; do
  must prune $name -d "$tokens" --samples 3 --micro-batch 1 --pilot 64 --no-stability --criterion magnitude --repair none \
    --sparsity 0.3 --allocation uniform -o $name.h5
done
check "pruned: the figure of the untied" test "$(loss m.h5)" = "$(loss own.h5)"
finish
