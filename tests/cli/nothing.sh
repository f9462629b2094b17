#!/usr/bin/env bash
# Where nothing is predicted, there is no figure.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# tokens_of FILE SEQUENCES LENGTH
tokens_of() { numbers "$2" "$3" 61 5 | add_column "$1" tokens "$2,$3"; }
tokens_of one.h5 8 1
tokens_of two.h5 8 2
tokens_of padded.h5 8 4 && awk 'BEGIN { for (i = 0; i < 8; i++) print 1 }' | add_column padded.h5 lengths 8
check "two tokens in a row: a figure" must eval "$llama" -d two.h5 --no-speed
for name in one padded; do
  expect_failure "perplexity, $name" "expected sequences of at least 2 tokens" -- eval "$llama" -d $name.h5 --no-speed
  must eval "$llama" -d $name.h5 --no-speed --logits $name.logits.h5 --sequences 4
  check "logits, $name: no perplexity" grep -q '^- *0.00 - *- *- ' stdout
done

# The default prune tries no counts on them.
must collect "$llama" -d one.h5 --micro-batch 2 --pilot 8 --fisher-tokens 8 --no-width -o one.stats.h5
must prune "$llama" --stats one.stats.h5 -d one.h5 --repair none --no-stability --sparsity 0.3 -o one.pruned.h5 --json report.json
check "prune: without trials" test "$(get report.json allocation name)" = uniform

# One class.
mkdir one
"$HELPERS/make_data" one 8 1 64 32
expect_failure "training on one class" "expected at least 2 classes, found 1" -- train -d one --hidden 8 --micro-batch 4 -o "$out/m.h5"
finish
