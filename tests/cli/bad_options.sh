#!/usr/bin/env bash
# Unknown names, values out of range, missing arguments, bad YAML.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

prune=(prune "$model" --stats "$stats" -o "$out/p.h5")
yaml() { printf '%b' "$1" >bad.yaml; }
expect_bad_yaml() { # NAME TEXT YAML
  yaml "$3"
  expect_failure "$1" "$2" -- "${prune[@]}" --config bad.yaml
}

expect_failure "unknown command" "did you mean collect" -- colect "$model"
expect_failure "unknown option" "did you mean --sparsity" -- "${prune[@]}" --sparsty 0.5
expect_failure "unknown short option" "unknown option '-x'" -- "${prune[@]}" -x
expect_failure "option of another command" "does not take --epochs" -- "${prune[@]}" --epochs 3
expect_failure "unknown criterion" "did you mean set-mi" -- "${prune[@]}" --criterion set-mj
expect_failure "unknown repair" "did you mean least-squares" -- "${prune[@]}" --repair least-square
expect_failure "unknown moments" "did you mean codes" -- "${prune[@]}" --moments code
expect_failure "unknown optimizer" "did you mean adamw" -- train -d "$data" --optimizer adam -o "$out/m.h5"
expect_failure "unknown activation" "did you mean relu" -- train -d "$data" --activation rellu -o "$out/m.h5"
expect_failure "unknown split" "did you mean test" -- eval "$model" -d "$data" --split tests
for sparsity in 1 -0.1 abc nan inf ''; do
  expect_failure "sparsity '$sparsity'" "at least 0 and below 1" -- "${prune[@]}" --sparsity "$sparsity"
done
expect_failure "an option without its value" "--sparsity: expected" -- "${prune[@]}" --sparsity
expect_failure "one bin" "from 2 to 16" -- collect "$model" -d "$data" --bins 1 -o "$out/s.h5"
expect_failure "hidden sizes" "such as 512,256" -- train -d "$data" --hidden 24,,16 -o "$out/m.h5"
expect_failure "hidden size 0" "such as 512,256" -- train -d "$data" --hidden 0 -o "$out/m.h5"
expect_failure "hidden size beyond memory" "from 1 to 16777216" -- train -d "$data" --hidden 99999999999999999999 -o "$out/m.h5"
expect_failure "no model" "expected prune MODEL" -- prune --stats "$stats" -o "$out/p.h5"
expect_failure "two models" "found 2 arguments" -- prune "$model" "$model" --stats "$stats" -o "$out/p.h5"
expect_failure "no output" "give -o" -- prune "$model" --stats "$stats"
expect_failure "no data" "--data" -- eval "$model"
expect_failure "neither statistics nor data" "--data" -- prune "$model" -o "$out/p.h5"

expect_failure "no YAML file" "cannot open none.yaml" -- "${prune[@]}" --config none.yaml
expect_failure "a folder as YAML file" "folder" -- "${prune[@]}" --config "$data"
expect_bad_yaml "unknown YAML key" "did you mean" 'prune:\n  sparsty: 0.5\n'
expect_bad_yaml "unknown YAML section" "did you mean" 'prun:\n  sparsity: 0.5\n'
expect_bad_yaml "YAML value out of range" "bad.yaml:2" 'prune:\n  sparsity: 1.5\n'
expect_bad_yaml "YAML cut short" "bad.yaml" 'prune:\n  criterion: "set-'
expect_bad_yaml "YAML list" "expected a mapping" '- prune\n'
expect_bad_yaml "YAML with a NUL byte" "bad.yaml" 'seed: 1\n\0000'
expect_bad_yaml "YAML that is not UTF-8" "bad.yaml" 'seed: \0377\0376\n'
finish
