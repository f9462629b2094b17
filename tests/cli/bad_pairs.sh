#!/usr/bin/env bash
# Files that are fine each, but do not belong together; statistics that lack what is asked of them.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

other=$SHARED/other more=$SHARED/more-classes model2=$SHARED/model2.h5

expect_failure "eval: other image size" "expected samples of 64" -- eval "$model" -d "$other"
expect_failure "eval: more classes" "found 6 classes" -- eval "$model" -d "$more"
expect_failure "eval: the second model is bad" "none.h5" -- eval "$model" none.h5 -d "$data"
expect_failure "collect: other image size" "expected samples of 64" -- collect "$model" -d "$other" -o "$out/s.h5"
expect_failure "prune: other image size" "expected samples of 64" -- prune "$model" -d "$other" -o "$out/p.h5"
expect_failure "statistics of another model" "statistics of another model" -- prune "$model2" --stats "$stats" -o "$out/p.h5"
expect_failure "sequential: other data than collected" "statistics of another data" -- \
  prune "$model" --stats "$stats" -d "$more" --repair sequential -o "$out/p.h5"

must collect "$model" -d "$data" "${collection[@]}" --no-covariance -o lean.h5
lean=(prune "$model" --stats lean.h5 -o)
expect_failure "set-mi without covariance" "--no-covariance" -- "${lean[@]}" "$out/p.h5" --repair none
expect_failure "least squares without covariance" "--no-covariance" -- "${lean[@]}" "$out/p.h5" --criterion mi --repair least-squares
check "mi needs no covariance" must "${lean[@]}" mi.h5 --criterion mi --repair none
check "set-mi from codes needs no covariance" must "${lean[@]}" codes.h5 --moments codes --repair bias

mkdir there && cp "$data"/* there
must collect "$model" -d there "${collection[@]}" -o moved.h5
mv there moved
expect_failure "sequential: the data have gone" "there" -- prune "$model" --stats moved.h5 -o "$out/p.h5"
check "sequential: --data says where they are" must prune "$model" --stats moved.h5 -d moved -o moved-p.h5
finish
