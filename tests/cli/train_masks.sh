#!/usr/bin/env bash
# Masks that a policy has made stay: in train, recover, prune, export, and as eval counts them; what frozen weights are stored as.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

golden=$tests/golden/transformers tokens=$tests/golden/training/tokens.h5
images=(-d "$data" --micro-batch 16 --batch 64)

# mask_of FILE: which values of all matrices are zero.
mask_of() {
  local name
  for name in $(h5ls "$1/model" | awk '/,/ { print $1 }'); do
    echo "$name"
    h5dump -y -w 1 -d "/model/$name" "$1" | sed -n '/DATA {/,/}/p' | awk '/^ *-?[0-9]/ { print ($1 + 0 == 0) }'
  done
}
same_mask() { cmp <(mask_of "$1") <(mask_of "$2"); }
count() { awk '$1 == 1' <(mask_of "$1") | wc -l; }

must train "${images[@]}" --hidden 30,20 --epochs 6 --policy rigl --final-sparsity 0.8 --prune-every 3 -o masked.h5
zeros=$((4 * (64 * 30 + 30 * 20 + 20 * 4) / 5))
check "rigl: as many zeros as asked, in matrices alone" test "$(count masked.h5)" = $zeros
must eval masked.h5 -d "$data" --no-speed --json eval.json
check "eval counts them" test "$(get eval.json results 0 nonzero_parameters)" = $((64 * 30 + 30 * 20 + 20 * 4 + 54 - zeros))

must train masked.h5 "${images[@]}" --optimizer sgd --rate 0.01 --weight-decay 0.1 --epochs 2 -o t.h5
check "train, sgd: other weights" eval '! h5diff -q masked.h5 t.h5 /model /model'
check "train, sgd: the same mask" same_mask masked.h5 t.h5
must train t.h5 "${images[@]}" --rate 0.01 --weight-decay 0.1 --epochs 1 -o again.h5
check "and again, adamw" same_mask masked.h5 again.h5
must recover masked.h5 "${images[@]}" --teacher "$model" --epochs 2 -o r.h5
check "recover: the same mask" same_mask masked.h5 r.h5

must train masked.h5 "${images[@]}" --epochs 4 --policy rigl --final-sparsity 0.8 --prune-every 3 --hold-out 0 -o moved.h5
check "rigl again: another mask" eval '! same_mask masked.h5 moved.h5 >/dev/null'
check "rigl again: what grows trains, none is lost" test "$(count moved.h5)" = $zeros

for policy in "movement --final-sparsity 0.8" l0; do
  must train masked.h5 "${images[@]}" --epochs 2 --policy $policy --hold-out 0 -o learned.h5 --restart
  check "$policy: what was masked is not among what may live" \
    eval "! paste <(mask_of masked.h5) <(mask_of learned.h5) | grep -q \$'^1\t0\$'"
done
must train masked.h5 "${images[@]}" --epochs 2 --policy gradual --final-sparsity 0.2 --hold-out 0 -o less.h5
check "a sparsity below the mask's: it says so" grep -q "0.2 was asked, but 0.8" "$ERRORS"

must export masked.h5 folder --quiet
must eval masked.h5 folder -d "$data" --no-speed --json eval.json
check "export: the same zeros" test "$(get eval.json results 0 nonzero_parameters)" = "$(get eval.json results 1 nonzero_parameters)"
must train folder "${images[@]}" --rate 0.01 --weight-decay 0.1 --epochs 1 -o unfolded.h5
check "export, train: other weights" eval '! h5diff -q masked.h5 unfolded.h5 /model /model'
check "export, train: the same mask" same_mask masked.h5 unfolded.h5
must export unfolded.h5 twice --quiet
must prune twice -d "$data" --micro-batch 64 --pilot 256 --no-stability --criterion magnitude --sparsity 0.3 --repair none -o u.h5
must recover u.h5 "${images[@]}" --epochs 1 -o u2.h5
check "export, train, export, prune, recover: the same mask" same_mask u.h5 u2.h5

cut=(prune masked.h5 -d "$data" --micro-batch 64 --pilot 256 --no-stability --criterion magnitude --sparsity 0.3)
must "${cut[@]}" --repair none -o cut.h5
check "prune: smaller, and masked" test "$(count cut.h5)" -gt 1000
must "${cut[@]}" --repair bias --restart -o bias.h5
check "prune, bias: the same mask, and no word of filled zeros" eval 'same_mask cut.h5 bias.h5 && ! grep -q "zeros are filled" "$ERRORS"'
must train cut.h5 "${images[@]}" --rate 0.01 --epochs 2 -o t2.h5
check "prune, then train: the same mask" same_mask cut.h5 t2.h5
must "${cut[@]}" --recover-tokens 1200 --repair none --restart -o r2.h5
check "prune that recovers: the same mask" same_mask cut.h5 r2.h5
must "${cut[@]}" -o filled.h5
check "prune that refits: it says what it fills" grep -q "masked, but the repair fits 2 matrices anew" "$ERRORS"
must train masked.h5 "${images[@]}" --epochs 4 --policy set --granularity units --final-sparsity 0.3 --hold-out 0 -o units.h5
check "units of a masked model: masked" test "$(count units.h5)" -gt 1000
must train units.h5 "${images[@]}" --rate 0.01 --epochs 2 --restart -o t3.h5
check "units of a masked model, then train: the same mask" same_mask units.h5 t3.h5

# Half precision: values below 2^-25 would be zero.
must train "$golden/gpt2-hub-f16" -d "$tokens" --micro-batch 2 --batch 6 --steps 24 --hold-out 0 --policy snfs --final-sparsity 0.5 \
  --prune-every 3 -o half.h5
must train half.h5 -d "$tokens" --micro-batch 2 --batch 6 --steps 12 --rate 0.003 --hold-out 0 -o half2.h5
check "16 bits: other weights" eval '! h5diff -q half.h5 half2.h5 /model /model'
check "16 bits: the same mask" same_mask half.h5 half2.h5

# Frozen weights of a new model are its seed.
new=(train "${images[@]}" --hidden 60,40 --epochs 2)
values=$((64 * 60 + 60 * 40 + 40 * 4))
must "${new[@]}" -o first.h5 --rate 0
must "${new[@]}" --policy freezenet --final-sparsity 0.9 -o frozen.h5
check "freezenet: two bits a weight, and those that train" test "$(stat -c %s frozen.h5)" -lt \
  $((16000 + values / 4 + values / 10 * 4))
must train frozen.h5 "${images[@]}" --rate 0 --steps 1 -o whole.h5
trained=0
for layer in 0 1 2; do
  found=$(h5diff -r first.h5 whole.h5 "/model/layers.$layer.weight" "/model/layers.$layer.weight" | tail -n 1 || true)
  trained=$((trained + ${found%% *}))
done
check "freezenet: all others have the bits of the first" test $trained = $((values / 10))
must export frozen.h5 frozen --quiet
must eval frozen.h5 whole.h5 frozen -d "$data" --no-speed --json eval.json
check "freezenet: eval says that nothing is removed" grep -qF "frozen.h5: $((values - values / 10)) parameters are frozen" stdout
check "freezenet: read whole" test "$(get eval.json results 0 loss_nats)" = "$(get eval.json results 1 loss_nats)"
check "freezenet: exported whole" test "$(get eval.json results 0 loss_nats)" = "$(get eval.json results 2 loss_nats)"
finish
