#!/usr/bin/env bash
# Configurations of popular models: what Python reads, windows, rotary embeddings, heads. Figures are those of transformers in
# float32 on the first 64 held-out rows.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

cut_tokens 64 "$llama/heldout.h5" few.h5
is_near() { awk "BEGIN { d = $1 / $2 - 1; exit !(d < 2e-5 && d > -2e-5) }"; }

# variant CHANGE...: ./variant is the llama with its configuration changed by sed.
variant() {
  rm -rf variant && mkdir variant && ln -s "$llama/model.safetensors" variant/
  sed "${@/#/-e}" "$llama/config.json" >variant/config.json
}
# has_perplexity FIGURE NAME CHANGE...
has_perplexity() {
  variant "${@:3}"
  must eval variant -d few.h5 --no-speed --json result.json --quiet
  check "$2: perplexity $1" is_near "$(get result.json results 0 perplexity)" "$1"
}
add() { echo "s/\"vocab_size\": 2048/&, $1/"; }
rope() { echo "/\"rope_parameters\"/,/}/c \"rope_parameters\": {$1},"; }

dense=34.916106
has_perplexity $dense "NaN, Infinity and large integers" "$(add '"a": NaN, "b": [-Infinity, 1e999], "c": 1000000000000000000000000000000')"
must export variant folder --quiet
check "what jansson lacks is exported as it was" grep -q '"c": 1000000000000000000000000000000' folder/config.json
check "NaN is exported as it was" grep -q '"a": NaN' folder/config.json
has_perplexity $dense "the last of two members counts" "$(add '"hidden_size": 5, "hidden_size": 192')"
has_perplexity $dense "swish is silu" 's/"silu"/"swish"/'
has_perplexity $dense "no max_position_embeddings, no architectures" '/"max_position/d' '/"architectures"/,/]/d'
has_perplexity $dense "a window that no row reaches" 's/"llama"/"mistral"/' "$(add '"sliding_window": 256')"
has_perplexity 35.532402 "a window of 16" 's/"llama"/"mistral"/' "$(add '"sliding_window": 16')"
has_perplexity 35.263467 "dynamic beyond 64 positions" "$(rope '"type": "dynamic", "factor": 2.0')" 's/"max_position_embeddings": 512/"max_position_embeddings": 64/'
has_perplexity $dense "dynamic within 512 positions" "$(rope '"rope_type": "dynamic", "factor": 2.0')"
has_perplexity 37.273033 "yarn" "$(rope '"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128')"
ones=$(printf '1.0,%.0s' {1..16}) longs=$(printf '1.5,%.0s' {1..16})
long="\"rope_type\": \"longrope\", \"factor\": 1.0, \"short_factor\": [${ones%,}], \"long_factor\": [${longs%,}]"
has_perplexity $dense "longrope within 512 positions" "$(rope "$long, \"original_max_position_embeddings\": 512")"
has_perplexity 37.369791 "longrope beyond 64 positions" "$(rope "$long, \"original_max_position_embeddings\": 64")"

# Windows stay with the layers that have them, at any rank count.
variant 's/"llama"/"mistral"/' "$(add '"sliding_window": 16, "layer_types": ["full_attention", "sliding_attention", "full_attention", "sliding_attention"]')"
for ranks in 1 2; do
  run $ranks prune variant -d "$llama/calibration.h5" --samples 4 --micro-batch 1 --pilot 256 --fisher-tokens 0 --no-stability \
    --sites block --criterion block-cosine --sparsity 0.5 --repair none -o "block$ranks.h5" --quiet | grep checksum >"block$ranks"
done
check "windows: the same layers at 2 ranks" cmp block1 block2
must export block1.h5 layers --quiet
check "windows: a type a layer" test "$(grep -c '_attention"' layers/config.json)" = 2

# What is no language model.
few() { numbers 3 20 61 5 | add_column tokens.h5 /tokens 3,20; }
few
tiny=$tests/golden/transformers
for name in llama-tokens-bf16 llama-answers-bf16 gpt2-tokens-bf16 bert-tokens-bf16 bert-answers-bf16; do
  must eval "$tiny/$name" -d tokens.h5 --no-speed
  check "$name: said to be an encoder" grep -q "has no figure here: evaluated as an encoder" "$ERRORS"
done
heads=(llama-encoder-bf16:norm.weight llama-reward-bf16:score.weight llama-tokens-bf16:score.bias llama-answers-bf16:qa_outputs.bias
  gpt2-classifier-bf16:score.weight bert-answers-bf16:qa_outputs.weight bert-mlm-unbiased-bf16:cls.predictions.decoder.weight)
for entry in "${heads[@]}"; do
  name=${entry%:*}
  must prune "$tiny/$name" -d tokens.h5 --micro-batch 1 --pilot 20 --fisher-tokens 0 --no-stability --sites ffn=0.5 \
    --criterion magnitude --repair none -o "$name.h5" --quiet
  must export "$name.h5" "$name" --quiet
  must info "$tiny/$name" --json before.json
  must info "$name" --json after.json
  check "$name: all weights are there" test "$(grep -c '"BF16"' before.json)" = "$(grep -c '"BF16"' after.json)"
  check "$name: the head is kept" grep -q "\"${entry#*:}\"" after.json
done
check "a head told by its tensors is named" grep -q LlamaForQuestionAnswering llama-answers-bf16/config.json
rm -rf named && cp -r "$tiny/llama-encoder-bf16" named && chmod -R u+w named && sed -i 's/"LlamaModel"/"LlamaForCausalLM"/' named/config.json
must eval named "$tiny/llama-encoder-bf16" -d tokens.h5 --no-speed --json result.json
check "a language model without its head: said" grep -q "no head is stored, but LlamaForCausalLM has one" "$ERRORS"
check "a language model without its head: an encoder" is_near "$(get result.json results 1 cosine)" 1
expect_failure "a reward wants numbers" "numbers a sequence in /labels for this model, found 0" -- eval "$tiny/llama-reward-bf16" -d tokens.h5 --no-speed
variant "$(add '"quantization_config": {"bits": 4}')"
expect_failure "quantised weights" "quantization_config" -- info variant
variant "$(rope '"full_attention": {"rope_type": "default"}, "sliding_attention": {"rope_type": "default"}')"
expect_failure "rotary embeddings of layer types" "layers of type 'full_attention'" -- info variant
finish
