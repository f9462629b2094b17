#!/usr/bin/env bash
# The installed example builds with CMake and with pkg-config, and two ranks choose what one does, and what the program does.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

model=$SOURCE/tests/models/llama data=$SOURCE/tests/models/llama/calibration.h5 site=ffn.0
example=$(dirname -- "$(find_one "$TREE" rank_units.c)")
cmake -S "$example" -B build "-DCMAKE_PREFIX_PATH=$TREE" "-DMPI_C_COMPILER=$MPICC" \
  -DCMAKE_C_FLAGS="-Wall -Wextra -Werror" >log
cmake --build build >>log || fail "$(cat log)"
compile "$TREE" by_pkg_config "$example/rank_units.c"

run() { # RANKS PROGRAM NAME
  "$MPIEXEC" -n "$1" "$2" "$model" "$data" "$3.h5" "$site" >"$3.txt" 2>"$3.log" || fail "$(cat "$3.log")"
}
run 2 build/rank_units two
run 1 ./by_pkg_config one
cmp one.txt two.txt
cmp one.h5 two.h5

# Its statistics serve the program, which keeps the same units.
espalier prune "$model" --stats one.h5 --criterion activation --repair none --allocation uniform \
  --sites "$site=0.5" --min-keep 1 --multiple-of 1 -o pruned.h5 --quiet >/dev/null
kept=$(h5dump -y -w 0 -d "/kept/$site" pruned.h5 | sed -n '/DATA {/ { n; s/,//g; s/^ *//; s/ *$//; p }')
[[ -n $kept ]]
grep -qxF "kept 256 of 512 units of $site: $kept" two.txt || fail "the program keeps $kept"

# A failure is one line, from one rank, and ends all.
if "$MPIEXEC" -n 2 build/rank_units "$model" "$data" three.h5 ffn.99 >/dev/null 2>failure.log; then
  fail "a site that is not there was ranked"
fi
[[ $(grep -c "found 'ffn.99'" failure.log) == 1 ]] || fail "$(cat failure.log)"

# Its README shows what it prints.
grep '^    kept ' "$example/README.md" | sed 's/^    //; s/ \.\.\.$//' >shown
[[ -s shown ]]
grep -qF "$(cat shown)" two.txt || fail "the README shows other units: $(cat shown)"
