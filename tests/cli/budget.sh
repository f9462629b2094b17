#!/usr/bin/env bash
# Budgets instead of a sparsity, with the program: every allocation, the same at any rank count, resumed, refused in a line.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

cut_tokens 32 "$llama/calibration.h5" few.h5
must collect "$llama" -d few.h5 --micro-batch 4 --pilot 256 -o s.h5 --quiet
prune=(prune "$llama" --stats s.h5 --repair none --no-stability --quiet)
budget() { get "$1.h5.report.json" budget "${@:2}"; }
at_most() { awk -v a="$1" -v b="$2" -v by="$3" 'BEGIN { exit !(a <= b && a > b - by) }'; }

# A step of all layers together is 4 layers of 3 x 192 weights a neuron, a step of one layer a quarter of it.
must "${prune[@]}" --criterion flap --max-parameters 1.5M -o u.h5
check "uniform" at_most "$(get u.h5.report.json parameters)" 1500000 2304
check "it is said" grep -q 'budget: --max-parameters 1500000: 14[0-9]* of 1967808, which binds' stdout
must "${prune[@]}" --allocation global --max-parameters 1.5M -o g.h5
check "global" at_most "$(get g.h5.report.json parameters)" 1500000 577
must "${prune[@]}" --max-parameters 1.5M --trial-tokens 512 -o b.h5
check "balanced" test "$(get b.h5.report.json allocation name)" = balanced
check "balanced, by trials" at_most "$(get b.h5.report.json parameters)" 1500000 2304
for name in u g; do
  options=(--criterion flap)
  [[ $name == u ]] || options=(--allocation global)
  must "${prune[@]}" "${options[@]}" --sparsity "$(budget $name sparsity)" -o again.h5
  check "$name: the sparsity found gives the same model" h5diff "$name.h5" again.h5 /model
  run 3 "${prune[@]}" "${options[@]}" --max-parameters 1.5M -o three.h5 >/dev/null
  check "$name: 3 ranks keep the same units" h5diff "$name.h5" three.h5 /kept
done

must "${prune[@]}" --criterion flap --max-parameters 1.9M --max-bytes 2.9M --cache-tokens 100 --multiple-of auto -o t.h5
check "bytes bind" test "$(budget t max_bytes binds) $(budget t max_parameters binds)" = "true false"
check "neurons in eights" test "$(($(get t.h5.report.json sites 1 kept) % 8))" = 0
check "what that costs" test "$(get t.h5.report.json alignment parameters_more)" -le 0
must export t.h5 exported --quiet
check "as exported" at_most "$(($(stat -c %s exported/model.safetensors) + 2 * 4 * 2 * 32 * 2 * 100))" 2910000 100000
must prune "$bert" -d "$bert/calibration.h5" --samples 16 --micro-batch 4 --criterion magnitude --repair none --no-stability --max-bytes 1.5M -o e.h5 --quiet
check "encoders" test "$(budget e max_bytes got | cut -d. -f1)" -le 1500000
must prune e.h5 -d "$bert/calibration.h5" --samples 16 --micro-batch 4 --criterion magnitude --repair none --no-stability --max-bytes 1.2M -o e2.h5 --quiet
check "what was pruned before" test "$(budget e2 max_bytes got | cut -d. -f1)" -le 1200000
must prune "$model" --stats "$stats" --repair none --no-stability --max-parameters 1.5k -o m.h5 --quiet
check "perceptrons" at_most "$(get m.h5.report.json parameters)" 1500 100

must "${prune[@]}" --criterion flap --max-parameters 1G -o whole.h5
check "within it already" test "$(get whole.h5.report.json parameters)" = 1967808
check "that is said" grep -q 'within its budgets as it is' "$ERRORS"
must "${prune[@]}" --criterion flap --max-parameters 1.5M --sparsity 0.9 -o u2.h5
check "a sparsity beside a budget is without effect" grep -q 'without effect beside the other options: --sparsity' "$ERRORS"
must "${prune[@]}" --criterion flap --sparsity 0.3 --cache-tokens 10 -o u2.h5
check "a cache without bytes too" grep -q 'without effect beside the other options: --cache-tokens' "$ERRORS"

# Times are measured, so that only what was searched by them is certain.
must "${prune[@]}" --criterion flap --min-speed-up 1.2 -o fast.h5
check "a speed-up" awk -v got="$(budget fast min_speed_up got)" 'BEGIN { exit !(got >= 1.2) }'
check "the times are kept" test "$(budget fast layer_times stages 1 times 8 units)" = 512
check "the result is timed" awk -v got="$(budget fast measured_speed_up)" 'BEGIN { exit !(got > 0.5) }'
must "${prune[@]}" --criterion flap --sparsity "$(budget fast sparsity)" -o again.h5
check "the sparsity found gives the same model" h5diff fast.h5 again.h5 /model
must prune "$model" --stats "$stats" --repair none --no-stability --min-speed-up 1.01 -o m.h5 --quiet

must plan "$llama" --stats s.h5 --criterion flap --max-parameters 1.5M --ranks 2 --json plan.json --quiet
check "plan" test "$(get plan.json parameters)" = "$(get u.h5.report.json parameters)"
check "plan: the sparsity" test "$(get plan.json budget sparsity)" = "$(budget u sparsity)"

fail=("${prune[@]}" --criterion flap -o out/x.h5)
expect_failure "out of reach" "with all that can go of the chosen sites it is 593856 parameters (dense: 1967808)" -- "${fail[@]}" --max-parameters 10k
expect_failure "a thousand times as fast" "--min-speed-up 1000 cannot be reached" -- "${fail[@]}" --min-speed-up 1000
expect_failure "global: out of reach" "--max-parameters 10000 cannot be reached" -- "${prune[@]}" --allocation global -o out/x.h5 --max-parameters 10k
expect_failure "balanced: caps" "--max-parameters 1000000 cannot be reached" -- \
  "${prune[@]}" --max-sparsity 0.3 --trial-tokens 512 -o out/x.h5 --max-parameters 1M
expect_failure "no cache" "has no key-value cache" -- prune "$bert" -d "$bert/calibration.h5" --max-bytes 1M --cache-tokens 5 -o out/x.h5
for value in 0 -1 nan; do
  expect_failure "--max-parameters '$value'" "--max-parameters: expected a whole number" -- "${fail[@]}" --max-parameters="$value"
done
expect_failure "--min-speed-up 0.5" "--min-speed-up: expected a finite number" -- "${fail[@]}" --min-speed-up 0.5
expect_failure "--multiple-of 0" "or auto" -- "${fail[@]}" --multiple-of 0
finish
