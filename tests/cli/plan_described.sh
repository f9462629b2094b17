#!/usr/bin/env bash
# A plan needs no weights: config.json, or a folder with it alone, is planned as the model itself.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# What of a plan depends on neither the machine nor its load.
fixed() { "$HELPERS/json_get" "$1" sites && "$HELPERS/json_get" "$1" traffic && "$HELPERS/json_get" "$1" files && "$HELPERS/json_get" "$1" parameters; }

for folder in "$llama" "$gpt2" "$bert"; do
  name=$(basename "$folder")
  mkdir "$name"
  cp "$folder/config.json" "$name/"
  options=(-d "$folder/calibration.h5" --ranks 4 --criterion flap --samples 64)
  must plan "$folder" "${options[@]}" --json whole.json --quiet
  must plan "$name" "${options[@]}" --json described.json --quiet
  check "$name: a folder with config.json" diff <(fixed whole.json) <(fixed described.json)
  must plan "$name/config.json" "${options[@]}" --json described.json
  check "$name: config.json itself" diff <(fixed whole.json) <(fixed described.json)
  check "$name: it is said" grep -q "planned from the configuration alone" "$ERRORS"
done
check "with training behind it" must plan llama -d "$llama/calibration.h5" --samples 64 --recover-tokens 8192 --ranks 2
check "by shared sparsity" must plan llama -d "$llama/calibration.h5" --samples 64 --allocation global --ranks 2
check "whole layers" must plan llama -d "$llama/calibration.h5" --samples 64 --sites block=0.25 --criterion block-cosine --ranks 2

cat >large.json <<'END'
{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008,
 "num_attention_heads": 32, "num_key_value_heads": 32, "num_hidden_layers": 32, "vocab_size": 32000, "rms_norm_eps": 1e-5,
 "max_position_embeddings": 4096, "hidden_act": "silu", "tie_word_embeddings": false, "torch_dtype": "float16"}
END
begin=$(date +%s)
must plan large.json -d "$llama/calibration.h5" --ranks 64 --ranks-per-node 8 --micro-batch 4 --memory 64G --json large.out --quiet
took=$(($(date +%s) - begin))
check "7 billion parameters" test "$(get large.out parameters_dense)" = 6738415616
check "in $took seconds" test "$took" -lt 20

plan=(plan bad.json -d "$llama/calibration.h5" --ranks 2)
sed 's/float16/int8/' large.json >bad.json
expect_failure "another type" "found 'int8'" -- "${plan[@]}"
sed 's/4096/-4096/' large.json >bad.json
expect_failure "a negative size" "bad.json: configuration: expected" -- "${plan[@]}"
echo '{"model_type": ' >bad.json
expect_failure "no JSON" "bad.json" -- "${plan[@]}"
echo '[]' >bad.json
expect_failure "no object" "bad.json" -- "${plan[@]}"
expect_failure "no file" "cannot open gone.json" -- plan gone.json -d "$llama/calibration.h5" --ranks 2
expect_failure "other commands need weights" "espalier train takes config.json itself" -- train llama -d "$llama/calibration.h5" -o out/x.h5
expect_failure "prune too" "the checkpoint is incomplete" -- prune llama -d "$llama/calibration.h5" -o out/x.h5
finish
