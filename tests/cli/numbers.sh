#!/usr/bin/env bash
# Models whose labels are numbers: regression, and labels that do not exclude each other. Pruned with trials and Fisher
# information like others, the same at any number of ranks, judged by their own scores.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
golden=$tests/golden/transformers
regression=$golden/bert-regression-f32 labels=$golden/bert-multi-label-bf16

# floats FILE DIMENSIONS <numbers: /labels, float32
floats() {
  cat >column.txt
  h5import column.txt -dims "$2" -path labels -type TEXTFP -size 32 -o "$1"
}
for name in scores present classes; do numbers 48 20 61 5 | add_column $name.h5 tokens 48,20; done
numbers 48 1 9 3 | awk '{ print $1 / 4 - 1 }' | floats scores.h5 48
numbers 48 3 2 4 | floats present.h5 48,3
numbers 48 1 3 6 | add_column classes.h5 labels 48

brief=(--micro-batch 8 --fisher-tokens 160 --sites ffn,attention --sparsity 0.4 --no-stability --keep-stats --quiet)
# try NAME MODEL DATA
try() {
  must prune "$2" -d "$3" "${brief[@]}" -o "$1.h5" --json "$1.json"
  run 1 prune "$2" -d "$3" "${brief[@]}" -o "$1.1.h5" >/dev/null
  check "$1: trials" test "$(get "$1.json" allocation name)" = balanced
  check "$1: the Fisher information" test "$(get "$1.json" metric)" = fisher
  check "$1: the statistics of one rank" cmp "$1.h5.stats.h5" "$1.1.h5.stats.h5"
  check "$1: what one rank keeps" h5diff "$1.h5" "$1.1.h5" /kept
  must eval "$2" "$1.h5" -d "$3" --no-speed --json eval.json
}
try regression $regression scores.h5
check "regression: its scores" grep -q "R2       MSE" stdout
is_r2() { awk "BEGIN { r = 1 - $(get eval.json results 0 mean_squared_error) / $1; exit !((r - $(get eval.json results 0 r2))^2 < 1e-9) }"; }
variance=$(numbers 48 1 9 3 | awk '{ x = $1 / 4 - 1; s += x; q += x * x } END { printf "%.12g", q / NR - (s / NR)^2 }')
check "regression: R2 by its definition" is_r2 "$variance"
check "regression: no nats" eval '! get eval.json results 0 loss_nats'
must eval $regression -d classes.h5 --no-speed --json eval.json
check "regression: integers are numbers" get eval.json results 0 r2
try labels $labels present.h5
check "labels: their score" grep -q micro-F1 stdout
check "labels: of the pruned model too" get eval.json results 1 f1_micro
check "labels: of each of three" get eval.json results 0 accuracy

# What recovery learns there: the teacher's numbers, and the odds of its labels.
for of in "regression scores.h5" "labels present.h5"; do
  read -r kind file <<<"$of"
  must recover "$kind.h5" -d $file --micro-batch 2 --steps 8 --rate 0.002 -o r.h5 --json r.json
  check "$kind: recovered from the teacher" grep -q '"distilled-\(numbers\|labels\)"' r.json
  run 1 recover "$kind.h5" -d $file --micro-batch 2 --steps 8 --rate 0.002 -o one.h5 >/dev/null
  check "$kind: recovered to the same bytes by one rank" cmp r.h5 one.h5
done

expect_failure "labels, one of them" "expected 3 numbers a sequence in /labels for this model, found 1" -- eval $labels -d scores.h5 --no-speed
expect_failure "classes of numbers" '"problem_type"' -- eval "$golden/bert-classifier-f32" -d scores.h5 --no-speed
expect_failure "a language model beside labels of tokens" "leave /labels out" -- eval "$golden/gpt2-f32" -d present.h5 --no-speed
mkdir m && cp $regression/* m/ && sed -i 's/"model_type"/"problem_type": "regresion", "model_type"/' m/config.json
expect_failure "an unknown problem" "regression" -- info m
finish
