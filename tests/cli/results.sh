#!/usr/bin/env bash
# What is printed: help, JSON with its documented fields, the command line over the YAML file.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

prune=(prune "$model" --stats "$stats" --repair none)

no_command() {
  local code=0
  espalier >stdout || code=$?
  ((code == 1)) && grep -q usage: stdout
}
check "without a command: usage, exit code 1" no_command
check "--help" must --help
check "--version" must --version
check "version" grep -qE '^espalier [0-9.]+$' stdout
must --help
commands=$(awk '/^  [a-z]/ { print $1 }' stdout)
check "the usage names the commands" test "$(grep -cxE 'info|train|collect|prune|eval' <<<"$commands")" = 5
for command in $commands; do
  check "$command --help" must $command --help
  check "$command --help: its usage" grep -q "^usage: espalier $command" stdout
  check "$command --help: its options" grep -q -- --config stdout
done
check "the criteria are listed" eval "must info && grep -q set-mi stdout && grep -q least-squares stdout"
check "and what else there is to choose" eval "must info && grep -q '^  uniform ' stdout && grep -q 'next|output' stdout"

must eval "$model" "$SHARED/model2.h5" -d "$data" --repeats 1 --json -
check "eval --json -: nothing but JSON" get stdout
for key in model family parameters accuracy loss_nats samples images_per_s speedup; do
  check "eval: $key" get stdout results 1 $key
done
check "eval: split" test "$(get stdout split)" = test
check "eval: speed-up of the first model" test "$(get stdout results 0 speedup)" = 1.0
must eval "$model" -d "$data" --no-speed --json eval.json
check "eval --json FILE" get eval.json results 0 accuracy
check "eval --json FILE: the table too" grep -q accuracy stdout
check "eval --no-speed: no speed" eval '! get eval.json results 0 images_per_s'

must "${prune[@]}" -o p.h5 --json -
check "prune --json -: nothing but JSON" get stdout
fields='family criterion repair moments sparsity_asked sparsity_prunable parameters_dense parameters samples bins
        selection_checksum options collection sites repair_by_site run ranks output'
for key in $fields; do
  check "prune: $key" get stdout $key
  check "p.h5.report.json: $key" get p.h5.report.json $key
done
for key in site kind units kept information_nats information_kept null_level_nats; do
  check "prune: site's $key" get stdout sites 1 $key
done
check "prune: ranks" test "$(get stdout ranks)" = "$RANKS"
cp stdout p.json
must info p.h5 --json -
check "info: what was kept" test "$(get stdout pruning selection_checksum)" = "$(get p.json selection_checksum)"
check "info: shapes" test "$(get stdout weights 0 name)" = layers.0.weight

printf 'prune:\n  sparsity: 0.75\n  criterion: mi\n' >prune.yaml
must "${prune[@]}" --config prune.yaml -o yaml.h5
check "YAML over default" test "$(get yaml.h5.report.json sparsity_asked)" = 0.75
must "${prune[@]}" --sparsity 0.25 --config prune.yaml -o yaml.h5
check "command line over YAML" test "$(get yaml.h5.report.json sparsity_asked)" = 0.25
check "the rest of YAML stays" test "$(get yaml.h5.report.json criterion)" = mi
check "options are stored" test "$(get yaml.h5.report.json options prune sparsity)" = 0.25

alone() { timeout -k 5 120 "$ESPALIER" "$@" >stdout 2>"$ERRORS"; }
check "without mpirun" alone "${prune[@]}" -o alone.h5
finish
