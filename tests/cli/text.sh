#!/usr/bin/env bash
# Text wherever data are taken: the same as token files of it, at any number of ranks; and what is refused.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

novels=$tests/models/novels
gzip -dc "$novels/persuasion.txt.gz" >whole.txt && head -c 12000 whole.txt >p.txt
gzip -dc "$novels/northangerabbey.txt.gz" >whole.txt && head -c 9000 whole.txt >n.txt
for ranks in 1 3; do
  run $ranks tokenize "$llama" p.txt n.txt --context 64 -o "t$ranks.h5" >"tokens$ranks"
  check "np$ranks: tokens" cmp t1.h5 "t$ranks.h5"
done
check "a sample is shown" grep -q '^begins with "Persuasion\\nby' tokens1
run 1 tokenize "$llama" t1.h5 --decode -o back.txt
{ cat p.txt && printf '<|endoftext|>' && cat n.txt; } >both.txt
check "and back" cmp -n "$(wc -c <back.txt)" both.txt back.txt

must eval "$llama" --data p.txt,n.txt --context 64 --no-speed --json text.json
must eval "$llama" --data t1.h5 --no-speed --json tokens.json
check "eval: text as its tokens" test "$(get text.json results 0 loss_nats)" = "$(get tokens.json results 0 loss_nats)"
check "eval: words" test "$(get text.json corpus words)" = $(($(wc -w <p.txt) + $(wc -w <n.txt)))
check "eval: bits a byte" awk -v x="$(get text.json results 0 bits_per_byte)" 'BEGIN { exit !(x > 1 && x < 2) }'
must collect "$llama" --data p.txt,n.txt --context 64 --samples 64 -o text.stats.h5 --quiet
must prune "$llama" --stats text.stats.h5 --data t1.h5 --criterion wanda --repair sequential --sparsity 0.3 -o tokens.h5 --quiet
must prune "$llama" --stats text.stats.h5 --criterion wanda --repair sequential --sparsity 0.3 -o text.h5 --quiet
check "prune: text, read again, as its tokens" test "$(get text.h5.report.json selection_checksum)" = "$(get tokens.h5.report.json selection_checksum)"
must eval text.h5 --data n.txt --context 64 --no-speed
must prune text.h5 --data p.txt --context 64 --samples 16 --micro-batch 4 --criterion wanda --repair sequential --sparsity 0.1 -o twice.h5
check "prune: text that is read twice is described once" test "$(grep -c 'text: p.txt: ' "$ERRORS")" = 1
mkdir apart && mv twice.h5 apart
must eval apart/twice.h5 --data n.txt --context 64 --no-speed
check "a pruned model reads text by the tokenizer of the dense one" grep -q "perplexity a word" stdout

printf '{"text": "mail reader", "label": 3}\n{"text": "library for music", "label": 5}\n' >l.jsonl
must eval "$bert" --data l.jsonl --pad --no-speed
gzip -c l.jsonl >l.jsonl.gz
must tokenize "$bert" l.jsonl.gz --pad -o l.h5
must tokenize "$bert" l.h5 --decode
check "rows of documents are lines" test "$(cat stdout)" = "$(printf 'mail reader\nlibrary for music')"

expect_failure "rows of tokens are as they are" "--context is for text" -- eval "$llama" --data t1.h5 --context 32
expect_failure "labels in packed rows" "give --pad" -- eval "$bert" --data l.jsonl
expect_failure "nothing to train on by" "no tokenizer" -- train --data p.txt -o out/m.h5
mkdir bare && cp "$llama/config.json" "$llama/model.safetensors" bare
expect_failure "no tokenizer" "expected tokenizer.json beside bare" -- eval bare --data p.txt
sed 's/"ByteLevel"/"BiteLevel"/' "$llama/tokenizer.json" >bare/tokenizer.json
expect_failure "a kind that is not known" "did you mean ByteLevel" -- eval bare --data p.txt
cp "$bert/tokenizer.json" bare
expect_failure "two tokenizers" "expected the tokenizer of" -- eval "$llama" bare --data p.txt
expect_failure "an output that is read" "same file as p.txt" -- collect "$llama" --data n.txt,p.txt -o p.txt
finish
