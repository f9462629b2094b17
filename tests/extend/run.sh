#!/usr/bin/env bash
# A repair and a criterion of somebody else's: one file and one row of a table each, and info, prune and plan know them.
#   SOURCE: top folder   the rest as in ../cli/lib.sh
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
. "$here/../cli/lib.sh"

# add FILE FOLDER TYPE NAME TABLE: a file, its line in the module's list of sources, and its row in TABLE.c.
add() {
  local folder=source/src/$2
  cp "$here/$1" "$folder/"
  sed -i "s/^  $5\.c$/&\n  $1/" "$folder/CMakeLists.txt"
  sed -i "s/^const $3 \*const esp_$5\[\]/extern const $3 $4;\n&/; s/NULL};\$/\&$4, NULL};/" "$folder/$5.c"
  grep -q "^  $1" "$folder/CMakeLists.txt" && grep -q "&$4, NULL" "$folder/$5.c"
}

# Without optimisation, which takes a few seconds.
build() {
  cmake -S source -B build -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O0 -DBUILD_TESTING=OFF -DESPALIER_BENCH=OFF &&
    cmake --build build --target espalier --parallel 2
}

mkdir source
cp -r "$SOURCE"/{CMakeLists.txt,cmake,docs,include,packaging,src} source/
check "a repair: one file and one row" add repair_dummy.c surgery esp_repair repair_dummy repairs
check "a criterion: one file and one row" add dummy.c select esp_criterion esp_criterion_dummy criteria
check "the program builds" build
ESPALIER=$SCRATCH/build/espalier

both=("$model" --stats "$stats" --criterion dummy)
check "info lists both" test "$("$ESPALIER" info | grep -cE '^  dummy +(take the bias|the later)')" = 2
must prune "${both[@]}" --repair none -o none.h5 --quiet
must prune "${both[@]}" --repair dummy -o p.h5 --quiet
check "the criterion has selected" diff <(seq 8 15) <(h5dump -y -w 1 -d /kept/hidden.1 p.h5 | awk '/^ +[0-9]/ { print $1 + 0 }')
check "the repair selects nothing" h5diff none.h5 p.h5 /kept
check "the repair has run" test "$(h5dump -y -w 1 -d /model/layers.2.bias p.h5 | grep -cE '^ +0,?$')" = 4
check "and not without it" eval '! h5diff none.h5 p.h5 /model/layers.2.bias'

# What they say that they cost is in the plan: memory of the phase, and work.
make_plan() { run 1 plan "$model" --stats "$stats" --ranks 2 --criterion "$1" --repair "$2" --json "$1.$2.json" --quiet >table; }
rises() { # LESS MORE BY KEY...
  awk -v less="$(get "$1" "${@:4}")" -v more="$(get "$2" "${@:4}")" -v by="$3" 'BEGIN { exit !(more - less > 0.99 * by) }'
}
for pair in "random none" "random dummy" "dummy none"; do
  # shellcheck disable=SC2086
  check "plan: criterion ${pair% *}, repair ${pair#* }" make_plan $pair
done
if [[ -f $SOURCE/include/espalier/core/cost.h ]]; then
  check "memory of the repair" rises random.none.json random.dummy.json $((64 << 20)) memory phases repair
  check "memory of the repair stays" rises random.none.json random.dummy.json $((64 << 20)) memory phases write
  check "work of the repair" rises random.none.json random.dummy.json 1e9 work repair flops
  check "memory of the criterion" rises random.none.json dummy.none.json $((32 << 20)) memory phases select
  check "work of the criterion" rises random.none.json dummy.none.json 1e8 work select flops
fi
finish
