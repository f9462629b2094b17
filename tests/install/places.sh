#!/usr/bin/env bash
# The pkg-config file is right under any prefix, under DESTDIR, and after the tree was moved.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

cat >user.c <<'C'
#include <espalier/information/joint.h>
#include <espalier/select/criterion.h>
#include <stdio.h>

int main(void) {
  const esp_criterion *criterion;
  if (esp_criterion_find("set-mi", &criterion) != ESP_OK) return 1;
  return puts(criterion->summary) < 0;
}
C

# Headers and archive are those of this tree, whatever else is on the machine.
check() { # TREE
  local pc flags
  pc=$(find_one "$1" espalier.pc)
  flags=$(PKG_CONFIG_PATH=${pc%/*} pkg-config --cflags --libs espalier)
  for flag in $flags; do
    case $flag in
      -I*) [[ $(find_one "$1" criterion.h) == "$(realpath -- "${flag#-I}")"/* ]] || continue; local headers=1 ;;
      -L*) [[ $(find_one "$1" libespalier.a) != "$(realpath -- "${flag#-L}")/libespalier.a" ]] || local archive=1 ;;
    esac
  done
  [[ -n ${headers-} && -n ${archive-} ]] || fail "$pc does not name its own tree: $flags"
  compile "$1" user user.c
  ./user >/dev/null # no MPI in it
}

for prefix in "$SCRATCH/one" "$SCRATCH/a/deeper/two"; do
  cmake --install "$BUILD" --prefix "$prefix" >>log
  check "$prefix"
done
DESTDIR=$SCRATCH/stage cmake --install "$BUILD" --prefix /opt/espalier >>log
check "$SCRATCH/stage/opt/espalier"
[[ ! -e /opt/espalier/lib/libespalier.a ]] || fail "DESTDIR was not kept to"

mv one moved
check "$SCRATCH/moved"
if grep -rIl -e "$SCRATCH/one" -e "$BUILD" moved; then fail "these files know where they were made"; fi
