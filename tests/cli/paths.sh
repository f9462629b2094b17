#!/usr/bin/env bash
# Paths are bytes: one that is not UTF-8 works in every command, and no row of a result is lost.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

odd=$(printf 'caf\351') # Latin-1
escaped=$(printf 'caf\357\277\275e9')
mkdir "$odd"
cp -r "$gpt2" "$odd/model"
cut_tokens 4 "$gpt2/calibration.h5" "$odd/c.h5"
cp "$odd/c.h5" "$odd/t.h5"

must info "$odd/model" --json info.json
check "info" test "$(get info.json model)" = "$escaped/model"
must plan "$odd/model" -d "$odd/c.h5" --micro-batch 1 --ranks 2 --json "$odd/plan.json"
check "plan" test -s "$odd/plan.json"
options=(--micro-batch 1 --pilot 64 --fisher-tokens 0 --quiet)
must collect "$odd/model" -d "$odd/c.h5" "${options[@]}" -o "$odd/s.h5" --json collect.json
check "collect" test "$(get collect.json output)" = "$escaped/s.h5"
prune=(prune "$odd/model" --sites ffn=0.3 --allocation uniform --quiet)
must "${prune[@]}" --stats "$odd/s.h5" -o "$odd/p.h5" --json prune.json
check "prune from statistics, repaired from their data" test "$(get prune.json output)" = "$escaped/p.h5"
must "${prune[@]}" -d "$odd/c.h5" "${options[@]}" -o "$odd/q.h5"
check "prune from data" test "$(get "$odd/q.h5.report.json" selection_checksum)" = "$(get prune.json selection_checksum)"
must eval "$odd/model" "$odd/p.h5" "$odd/q.h5" -d "$odd/t.h5" --no-speed --json eval.json
check "eval: the table has the paths" grep -qaF "$odd/p.h5" stdout
check "eval: three rows" test "$(grep -c '"perplexity"' eval.json)" = 3
check "eval: the last" test "$(get eval.json results 2 model)" = "$escaped/q.h5"
must export "$odd/p.h5" "$odd/exported" --json export.json --quiet
check "export: finds where the model came from" grep -q 'other files copied' stdout
check "export" test "$(get export.json output)" = "$escaped/exported"
check "export: names the source" test "${odd}" = "$(basename "$(dirname "$(get export.json source)")" | sed "s/$escaped/$odd/")"
finish
