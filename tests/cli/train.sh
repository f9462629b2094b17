#!/usr/bin/env bash
# What train and recover refuse, each with one line; what recover leaves as it was: zeros of masks, what stands beside the weights,
# and weights that no step made better.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

golden=$tests/golden/transformers
tokens=$tests/golden/training/tokens.h5 typed=$tests/golden/training/token_types.h5
small=(--micro-batch 2 --batch 6)

# refuse CODE NAME TEXT -- ARGUMENT...: as expect_failure, with this exit code.
noting() {
  last=0
  espalier "$@" || last=$?
  return $last
}
runner=noting
refuse() {
  local before=$failures
  expect_failure "${@:2}"
  ((last == $1 || failures > before)) || {
    failures=$((failures + 1))
    echo "FAILED  $2: exit code $last, expected $1"
  }
}

h5copy -i "$tokens" -o bare.h5 -s /tokens -d /tokens
train=(train "$golden/llama-mha-f32" -d "$tokens" "${small[@]}" -o out/m.h5)
refuse 1 "no data" "give --data PATH" -- train "$golden/llama-mha-f32" -o out/m.h5
refuse 1 "no output" "give -o FILE" -- train "$golden/llama-mha-f32" -d "$tokens"
refuse 4 "tokens of another vocabulary" "expected token ids below 61" -- train "$golden/llama-mha-f32" -d "$llama" "${small[@]}" -o out/m.h5
refuse 4 "images for a language model" "expected a token file" -- train "$golden/llama-mha-f32" -d "$data" -o out/m.h5
refuse 4 "held-out data of another vocabulary" "expected token ids below 61" -- "${train[@]}" --validation "$llama"
refuse 4 "a classifier without labels" "expected labels" -- train "$golden/bert-classifier-f32" -d bare.h5 "${small[@]}" -o out/m.h5
refuse 1 "no mask token" "give --mask-token ID" -- train "$golden/bert-mlm-hub-f32" -d "$typed" "${small[@]}" -o out/m.h5
refuse 1 "a mask token beyond the vocabulary" "a token below 61" -- train "$golden/bert-mlm-hub-f32" -d "$typed" "${small[@]}" --mask-token 61 -o out/m.h5
refuse 1 "no epochs" "--epochs: expected a whole number (such as 4096, 1e6, 64k) from 1 to 1000000, or -1, found '0'" -- "${train[@]}" --epochs 0
refuse 1 "an unknown set" "expected all, blocks, writers, norms" -- "${train[@]}" --trainable nroms
refuse 1 "no such kind of sites" "the model has (attention, ffn), or single sites by name or pattern (*.0), found 'nosuch'" -- \
  "${train[@]}" --policy movement --kinds ffn,nosuch
refuse 1 "an unknown schedule" "known: cosine, linear, constant, inverse-sqrt" -- "${train[@]}" --schedule step
refuse 4 "a teacher of other outputs" "with 61 outputs, found 2048" -- "${train[@]}" --teacher "$llama"
refuse 4 "a teacher of another task" "task (language), found one of another (masked)" -- "${train[@]}" --teacher "$golden/bert-mlm-hub-f32"
refuse 1 "an encoder without a teacher" "give --teacher MODEL" -- train "$golden/bert-encoder-bf16" -d "$typed" "${small[@]}" -o out/m.h5
refuse 1 "too few samples to hold out" "found 22 samples" -- "${train[@]}" --hold-out 12
refuse 1 "all samples held out" "--hold-out 1: expected 2 or more" -- "${train[@]}" --hold-out 1
refuse 1 "pruning that ends before it begins" "--prune-from not above --prune-to" -- "${train[@]}" --policy gradual --prune-from 0.8 --prune-to 0.2
refuse 1 "an unknown policy" "unknown policy 'gradul'" -- "${train[@]}" --policy gradul
refuse 1 "units by erk" "give uniform or global" -- "${train[@]}" --policy gradual --granularity units --distribution erk
refuse 1 "more ranks than micro-batches" "--allow-idle" -- "${train[@]}" --batch 2
refuse 5 "a rate that diverges" "diverged in step" -- "${train[@]}" --optimizer sgd --rate 100 --clip 0 --warmup 0
refuse 5 "a loss that nothing at work has" "diverged in step" -- "${train[@]}" --rate 100 --hold-out 0 --warmup 0
refuse 5 "a penalty that diverges" "lower --rate (0.001) or --penalty (1e+30), or raise --warmup" -- \
  "${train[@]}" --optimizer sgd --policy l2 --penalty 1e30 --clip 0
refuse 1 "recovery of what was never pruned" "give --teacher MODEL" -- recover "$golden/llama-mha-f32" -d "$tokens" "${small[@]}" -o out/m.h5

refuse 1 "a masked model that no mask token is known of, before the work" "espalier recover --mask-token ID" -- \
  prune "$golden/bert-mlm-hub-f32" -d "$typed" "${small[@]:0:2}" --pilot 64 --recover-tokens 100 -o out/m.h5

# Files that are read.
cp -r "$golden/llama-mha-f32" dense
must export dense folder --quiet
must prune dense -d "$tokens" --micro-batch 2 --pilot 64 --fisher-tokens 0 --no-stability --criterion magnitude --repair none \
  --sparsity 0.4 -o p.h5
cp "$model" dense.h5
must prune dense.h5 -d "$data" --micro-batch 64 --pilot 256 --no-stability --criterion magnitude --repair none -o mlp.h5
recover=(recover p.h5 -d "$tokens" "${small[@]}" -o out/m.h5)
refuse 2 "onto the pruned model" "give another name" -- recover p.h5 -d "$tokens" "${small[@]}" -o p.h5
refuse 2 "onto the dense model" "give another name" -- recover p.h5 -d "$tokens" "${small[@]}" -o dense/model.safetensors
refuse 2 "onto the dense model, a file" "the model that was pruned" -- recover mlp.h5 -d "$data" -o dense.h5
refuse 2 "onto the teacher" "(--teacher)" -- recover p.h5 -d "$tokens" "${small[@]}" --teacher folder -o folder/model.safetensors
cp "$tokens" v.h5
refuse 2 "onto the data" "(--data)" -- train dense -d v.h5 "${small[@]}" -o v.h5
refuse 2 "onto held-out data" "(--validation)" -- train dense -d "$tokens" --validation v.h5 "${small[@]}" -o v.h5
cp dense/model.safetensors weights
printf '\001' | dd of=dense/model.safetensors bs=1 seek=20000 conv=notrunc status=none
refuse 4 "the dense model has changed" "found another" -- "${recover[@]}"
cp weights dense/model.safetensors
mv dense elsewhere
refuse 2 "the dense model has moved" "give --teacher MODEL if it has moved" -- "${recover[@]}"
check "moved: --teacher says where" must "${recover[@]}" --teacher elsewhere --steps 1
rm out/m.h5
mv elsewhere dense

# An interrupted run.
long=("${train[@]}" --steps 5000 --save-every 0)
interrupt() {
  local code=0 job
  "$MPIEXEC" -n "$RANKS" "$ESPALIER" "${long[@]}" >stdout 2>log &
  job=$!
  until [[ -e out/m.h5.checkpoint.h5 ]] || ! kill -0 $job 2>/dev/null; do sleep 0.01; done
  kill -USR1 "$(list_ranks $job | head -n 1)"
  wait $job || code=$?
  ((code == 6))
}
check "stopped as asked" interrupt
mkdir kept && cp out/* kept
refused() { # NAME TEXT ARGUMENT...: with exit code 4, and nothing is touched
  local code=0
  espalier "${long[@]}" "${@:3}" --quiet >stdout || code=$?
  check "interrupted: $1" grep -qF -- "$2" "$ERRORS"
  check "interrupted: $1: exit code 4, nothing touched" test "$code" = 4 -a -z "$(diff -rq out kept)"
}
refused "another rate" "expected no --rate, found --rate 0.1" --rate 0.1
refused "a number" "expected --warmup 0.05, found --warmup 0.7" --warmup 0.7
refused "another set" "found --trainable" --trainable norms
refused "another seed" "expected seed 1, found seed 2" --seed 2
refused "a teacher" "teacher fingerprint" --teacher p.h5
must "${long[@]}" --steps 3 --restart
check "interrupted: --restart begins again, and nothing is left" test "$(ls out)" = m.h5
mv out/m.h5 again.h5
must "${train[@]}" --steps 3
check "interrupted: --restart gives what a first run gives" cmp out/m.h5 again.h5
rm out/*

# A checkpoint that was half written when the job was killed.
check "stopped again" interrupt
long=("${train[@]}" --steps 5000 --patience 1 --rate 1e-9) # in place of what is there
echo half >out/m.h5.checkpoint.h5.partial
must "${long[@]}" --restart
check "half a checkpoint does not stay" test "$(ls out)" = m.h5
rm out/*

# What recovery keeps.
same_values() { h5diff "$1" "$2" "$3" "$3"; }
recovered() { # NAME FILE: the report has the curve, what stands beside the weights is as it was
  check "$1: kept units" same_values "$2" r.h5 /kept
  check "$1: scores" same_values "$2" r.h5 /scores
  h5dump -y -w 0 -d /report r.h5 | grep -o '\\\?"recovery\\\?"' >recovery || true
  check "$1: the report has the recovery" test -s recovery
}
must "${recover[@]}" --rate 0.003 --epochs 2 -o r.h5
check "recovered: better on held-out samples" grep -q "held-out loss" stdout
recovered recovered p.h5
check "recovered: other weights" eval '! h5diff -q p.h5 r.h5 /model /model'

must prune dense --structure unstructured --criterion magnitude --repair none --sparsity 0.5 -d "$tokens" --micro-batch 2 -o u.h5
count_zeros() { # in matrices, which alone are masked
  local name
  for name in $(h5ls "$1/model" | awk '/,/ { print $1 }'); do
    h5dump -y -w 1 -d "/model/$name" "$1" | sed -n '/DATA {/,/}/p' | grep -Ec '^ *-?0,?$' || true
  done
}
for optimizer in adamw sgd; do
  must recover u.h5 -d "$tokens" "${small[@]}" --optimizer $optimizer --rate 0.01 --weight-decay 0.1 --epochs 2 --restart -o r.h5
  check "masks, $optimizer: the same number of zeros everywhere" test "$(count_zeros u.h5)" = "$(count_zeros r.h5)"
  check "masks, $optimizer: some" test "$(count_zeros u.h5 | sort -n | tail -n 1)" -gt 200
  check "masks, $optimizer: better" grep -q "held-out loss" stdout
  recovered "masks, $optimizer" u.h5
done

masks=(prune dense -d "$tokens" --micro-batch 2 --structure unstructured --criterion magnitude --repair none --recover-tokens 2000)
must "${masks[@]}" -o r.h5
check "masks, in one job: the same number of zeros everywhere" test "$(count_zeros u.h5)" = "$(count_zeros r.h5)"
recovered "masks, in one job" u.h5
mv r.h5 two.h5
run 3 "${masks[@]}" -o r.h5 >stdout
check "masks, in one job: the same bytes from three ranks" cmp r.h5 two.h5

must "${recover[@]}" --rate 10 --patience 2 -o r.h5
check "no step was better: it says so" grep -q "the weights are as they were" stdout
check "no step was better: the weights as read" same_values p.h5 r.h5 /model
must prune "$golden/gpt2-hub-f16" -d "$tokens" --micro-batch 2 --pilot 64 --fisher-tokens 0 --no-stability --criterion magnitude \
  --repair none --sparsity 0.4 -o p.h5
must "${recover[@]}" --rate 10 --patience 2 -o r.h5
check "no step was better, 16 bits: the weights as read" same_values p.h5 r.h5 /model

# Masks are kept where a masked model was cut again, and recovered.
must prune u.h5 -d "$tokens" --micro-batch 2 --pilot 64 --fisher-tokens 0 --no-stability --criterion magnitude --repair none \
  --sparsity 0.4 -o uc.h5
must recover uc.h5 -d "$tokens" "${small[@]}" --rate 0.003 --steps 4 -o r.h5
check "masked, then cut: the same number of zeros everywhere" test "$(count_zeros uc.h5)" = "$(count_zeros r.h5)"

# A model has nothing to learn from itself.
refuse 1 "a teacher that is the model" "give one to learn of" -- train dense -d "$tokens" --teacher folder "${small[@]}" -o r.h5
must prune dense -d "$tokens" --criterion max-entropy --repair none --sparsity 0.4 --micro-batch 2 --recover-tokens 200 -o me.h5
check "no data but for recovery" grep -q recover stdout

# Labels are checked with a teacher too, and a mix of both needs some.
alone() { # as noting
  last=0
  run 1 "$@" || last=$?
  return $last
}
alone train -d "$data" --hidden 16 --epochs 1 --micro-batch 16 --quiet -o small.h5 >stdout
alone train -d "$data" --hidden 16 --epochs 1 --micro-batch 16 --seed 2 --quiet -o other.h5 >stdout
expect_failure "a teacher, labels beyond the classes" "expected labels from 0 to" -- \
  train small.h5 --teacher other.h5 -d "$SHARED/more-classes" --steps 1 -o r.h5

# Warnings. said TEXT...: each text is in one.
warned() { alone "$@" --restart -o r.h5 >stdout; }
said() {
  local text
  for text; do check "said: $text" grep -qF -- "$text" "$ERRORS"; done
}
warned train small.h5 -d "$data" --steps 1 --batch 1000000 --hold-out 0 --score-rate 0 --prune-to 1 --policy movement --quiet
said "--batch 1000000: expected at most the" "--score-rate 0: --policy movement learns no scores" "--prune-to 1: the last cut"
# Near-constant features (saturated tanh): their variance may not come out below 0.
must train -d "$data" --hidden 12,6 --activation tanh --batch 16 --micro-batch 8 --rate 0.05 --steps 30 --policy rigl --granularity units \
  --drop-rule set-mi --restart -o tanh.h5 --quiet
warned train small.h5 -d "$data" --steps 1 --split test --validation "$data" --rate 0 --policy snip \
  --final-sparsity 0.5 --score-samples 301 --quiet
said "found that 200 of its 200 are among them" "--rate 0: no weight follows" "--score-samples 301: expected at most the 200"
warned train dense -d "$tokens" "${small[@]}" --steps 1 --mix 0 --temperature 1 --rounds -1 --epochs 3 --min-keep 0 --beta2 0.999 \
  --optimizer sgd --quiet
said "without effect: --"{"mix is","temperature is","rounds without","epochs beside","min-keep without","beta2 is"}
warned train dense -d "$tokens" "${small[@]}" --steps 1 --policy gates --granularity units --rate 0.1 --optimizer sgd --beta2 0.9
said "without effect: --"{rate,optimizer}" with a --policy under which no weight trains"
check "scores are learned by Adam" eval '! grep -q -- "--beta2" "$ERRORS"'
cp -r "$SHARED/more-classes" gap
patch gap/train-labels-idx1-ubyte 8 '\0310'
warned train -d gap --hidden 8 --epochs 1 --micro-batch 16 --quiet
said "found none of"
warned train small.h5 -d "$data" --steps 1 --policy tickets --rewind other.h5 --quiet
said "that have nothing in common with it"

# Tokens of the data that are others to the teacher.
echo '{"model": {"vocab": {"a": 5, "b": 6}}}' >dense/tokenizer.json
echo '{"model": {"vocab": [["x", 0], ["y", 0]]}, "added_tokens": [{"id": 5, "content": "c"}]}' >folder/tokenizer.json
runner=alone refuse 4 "a teacher of another tokenizer" "in dense/tokenizer.json and" -- train dense -d "$tokens" "${small[@]}" --teacher folder -o out/m.h5
finish
