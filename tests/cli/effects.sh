#!/usr/bin/env bash
# Options that nothing reads are named once, in one line; those that are read, and defaults, are not.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

said() { grep 'without effect' "$ERRORS" || true; }
# warns NAME OPTIONS -- ARGUMENT...: the line ends with exactly these options.
warns() {
  local name=$1 options=$2
  must "${@:4}" --quiet
  check "$name" test "$(said)" = "espalier: warning: without effect beside the other options: $options"
}
silent() {
  must "${@:3}" --quiet
  check "$1" test -z "$(said)"
}
prune=(prune "$model" --stats "$stats" --repair none --no-stability -o p.h5)

silent "defaults" -- "${prune[@]}"
silent "options that set-mi reads" -- "${prune[@]}" --ridge 1e-2 --moments codes --upper next --reduce exchange --sparsity 0.4
silent "options that mi-jmi reads" -- "${prune[@]}" --criterion mi-jmi --targets 2
warns "options of other criteria" "--moments, --metric, --ridge, --targets" -- \
  "${prune[@]}" --criterion mi --targets 2 --ridge 1e-2 --metric outputs --moments codes
warns "trials of a uniform allocation" "--trial-tokens, --max-sparsity" -- \
  "${prune[@]}" --allocation uniform --trial-tokens 100 --max-sparsity 0.9
warns "options of a collection that is not made" "--micro-batch, --samples, --bins, --pilot, --top-units, --fisher-tokens" -- \
  "${prune[@]}" --samples 10 --micro-batch 2 --bins 5 --pilot 8 --top-units 3 --fisher-tokens 5
warns "codes that nothing reads" "--bins" -- prune "$model" -d "$data" "${collection[@]}" --criterion flap --bins 5 -o p.h5
warns "data that nothing reads" "--data" -- "${prune[@]}" --allocation uniform --data "$data"
warns "a collection that is not made" "--data, --samples, --bins, --pilot, --upper, --reduce" -- \
  prune "$model" --criterion magnitude --repair none -o p.h5 -d "$data" --samples 9 --bins 5 --pilot 9 --upper next --reduce auto
silent "what a recovery reads" -- "${prune[@]}" --allocation uniform --data "$data" --split train --micro-batch 16 --save-every 1 \
  --recover-tokens 100
warns "a sparsity that every site replaces" "--sparsity" -- "${prune[@]}" --sites hidden=0.3 --sparsity 0.9
silent "a sparsity that a site shares" -- "${prune[@]}" --sites hidden --sparsity 0.3
warns "a ridge that no repair reads" "--repair-ridge" -- "${prune[@]}" --repair-ridge 1e-3 --allocation uniform
silent "a ridge that the repair reads" -- "${prune[@]}" --repair least-squares --repair-ridge 1e-3
warns "unstructured" "--stats, --heads, --upper, --multiple-of, --reduce" -- \
  prune "$model" --stats "$stats" --repair none -o p.h5 --structure unstructured --criterion magnitude --heads group --upper next --reduce auto --multiple-of 2

printf 'prune: {criterion: mi, ridge: 0.01}\neval: {repeats: 3}\n' >c.yaml
warns "from the configuration file" "--ridge (configuration file)" -- "${prune[@]}" --config c.yaml
silent "overruled by the line" -- "${prune[@]}" --config c.yaml --criterion set-mi

warns "no timing" "--speed-batch, --repeats" -- eval "$model" -d "$data" --no-speed --speed-batch 8 --repeats 3
warns "no logits" "--sequences" -- eval "$model" -d "$data" --no-speed --sequences 3
silent "timing" -- eval "$model" -d "$data" --speed-batch 8 --repeats 1

cut_tokens 2 "$llama/heldout.h5" notes.h5
numbers 1 2 9 1 | add_column notes.h5 /weights 2
must eval "$llama" -d notes.h5 --no-speed --quiet
check "a data set that nothing reads" test "$(grep -c 'notes.h5: not read: /weights' "$ERRORS")" = 1

nothing() { grep -q 'nothing is removed' "$ERRORS" && grep -q 'nothing is removed' p.h5.report.json; }
must "${prune[@]}" --allocation uniform --multiple-of 4096 --quiet
check "a multiple as large as the site" nothing
must "${prune[@]}" --allocation uniform --sparsity 0.0001 --quiet
check "a sparsity below one unit" nothing
must "${prune[@]}" --sparsity 0 --quiet
check "nothing asked, nothing said" test ! -s "$ERRORS"
finish
