#!/usr/bin/env bash
# eval --at-most and --at-least: exit code 7 beyond them on all ranks, the table and the JSON all the same.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

must prune "$model" --stats "$stats" --criterion random --repair none --no-stability --sparsity 0.9 -o poor.h5 --quiet
must prune "$llama" -d "$llama/calibration.h5" --samples 8 --micro-batch 4 --pilot 64 --criterion magnitude --repair none \
  --no-stability --sites ffn=0.5 -o text.h5 --quiet
cut_tokens 8 "$llama/heldout.h5" few.h5
text=(eval "$llama" text.h5 -d few.h5 --no-speed)

expect_beyond() { # NAME TEXT ARGUMENT...: as a failure, but with its results
  local code=0
  espalier "${@:3}" --json beyond.json >stdout || code=$?
  check "$1: exit code" test "$code" = 7
  check "$1: $(<"$ERRORS")" grep -qF -- "$2" "$ERRORS"
  check "$1: one line" test "$(wc -l <"$ERRORS")" = 1
  check "$1: the table" grep -q "parameters" stdout
  check "$1: said in the JSON" test "$(get beyond.json results 1 within)" = false
}

expect_beyond "perplexity" "text.h5 (perplexity " "${text[@]}" --at-most 1.001
check "a ratio above 1" awk -v ratio="$(get beyond.json results 1 ratio)" 'BEGIN { exit !(ratio > 1.001) }'
check "perplexity within" must "${text[@]}" --at-most 1000 --json within.json
check "within: said in the JSON" test "$(get within.json results 1 within)" = true
check "the same model is within 1" must eval "$llama" "$llama" -d few.h5 --no-speed --at-most 1
expect_beyond "accuracy" "poor.h5 (accuracy " eval "$model" poor.h5 -d "$data" --no-speed --at-least 0.99
check "accuracy within" must eval "$model" poor.h5 -d "$data" --no-speed --at-least 0.001

expect_failure "accuracy has no --at-most" "give --at-least" -- eval "$model" poor.h5 -d "$data" --no-speed --at-most 1.05
expect_failure "perplexity has no --at-least" "give --at-most" -- "${text[@]}" --at-least 0.9
expect_failure "both" "give --at-most" -- "${text[@]}" --at-least 0.9 --at-most 1.1
expect_failure "one model" "found one model" -- eval "$llama" -d few.h5 --no-speed --at-most 1.05
expect_failure "models of two kinds" "of one kind" -- eval "$llama" "$model" -d few.h5 --no-speed --at-most 1.05
for value in 0 -1 nan; do
  expect_failure "--at-most '$value'" "--at-most: expected a finite number" -- "${text[@]}" --at-most="$value"
done
finish
