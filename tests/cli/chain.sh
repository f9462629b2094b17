#!/usr/bin/env bash
# The chain from the top: what is kept above changes what is chosen below; sets are nested; single sites; a site's own
# output as its upper.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

kept() { h5dump -y -w 1 -d "/kept/$2" "$1" | awk '/DATA \{/ { on = 1; next } on && /}/ { exit } on { gsub(/[ ,]/, ""); print }' | sort; }
is_within() { [[ -s $1 && -z $(comm -23 "$1" "$2") ]]; }
same_kept() { h5diff "$1" "$2" "/kept/$3"; }
differ() { ! same_kept "$@" >/dev/null; }

# Preserved units: hidden.0 below a whole and a pruned hidden.1.
for criterion in mi set-mi magnitude; do
  for above in 0 0.75; do
    must prune "$model" --stats "$stats" --criterion $criterion --sites hidden.0=0.5,hidden.1=$above --repair none --no-stability -o "$criterion$above.h5" --quiet
  done
done
check "mi: the units kept above change those chosen below" differ mi0.h5 mi0.75.h5 hidden.0
check "set-mi: so they do" differ set-mi0.h5 set-mi0.75.h5 hidden.0
check "magnitude knows nothing of them" same_kept magnitude0.h5 magnitude0.75.h5 hidden.0

# Nested: under one selection above, higher sparsities keep subsets.
for sparsity in 0.25 0.5 0.75; do
  must prune "$model" --stats "$stats" --sites hidden.0=$sparsity,hidden.1=0.5 --repair none --no-stability -o n.h5 --quiet
  kept n.h5 hidden.0 >"kept$sparsity"
done
check "kept at 0.5 within kept at 0.25" is_within kept0.5 kept0.25
check "kept at 0.75 within kept at 0.5" is_within kept0.75 kept0.5

# Single sites, later items winning.
must collect "$llama" -d "$llama/calibration.h5" --samples 8 --micro-batch 4 --fisher-tokens 0 -o s.h5 --quiet
must prune "$llama" --stats s.h5 --sites ffn=0.5,attention=0.34,ffn.2=0 --repair none --no-stability -o o.h5 --quiet
check "a later item wins" test "$(get o.h5.report.json sites 5 kept) $(get o.h5.report.json sites 7 kept)" = "512 256"
expect_failure "an unknown site" "ffn.9" -- \
  prune "$llama" --stats s.h5 --sites ffn.9=0.5 --repair none --no-stability -o out/p.h5

# One bad site, which one rank ranks while others rank theirs.
cp s.h5 nan.h5
patch nan.h5 $(($(offset_of nan.h5 /ffn.2/covariance) + 400)) "$nan"
for ranks in 1 3; do
  runner="run $ranks" expect_failure "NaN in one site's covariance, np $ranks" "/ffn.2/covariance" -- \
    prune "$llama" --stats nan.h5 --repair none --no-stability --allow-idle -o out/p.h5
done

# Information with a site's own output.
for upper in next output; do
  must prune "$llama" --stats s.h5 --criterion mi --upper $upper --sparsity 0.34 --repair none --no-stability -o "$upper.h5" --quiet
done
check "another upper, another selection" differ next.h5 output.h5 ffn.0
must prune "$llama" --stats s.h5 --criterion mi --upper output --sites ffn=0.34 --repair none --no-stability -o alone.h5 --quiet
check "one's own output does not hang on the selection above" same_kept alone.h5 output.h5 ffn.0
must collect "$llama" -d "$llama/calibration.h5" --samples 2 --micro-batch 1 --no-width --fisher-tokens 0 -o w.h5 --quiet
expect_failure "own output that was not collected" "--upper output needs" -- \
  prune "$llama" --stats w.h5 --criterion mi --upper output --repair none --no-stability -o out/p.h5
finish
