# Sourced by tests/install/*.sh. Each runs in $SCRATCH, emptied first.
#   BUILD, SOURCE: folders   TREE: what is installed   MPICC, MPIEXEC: of that build
# shellcheck shell=bash
set -euo pipefail

rm -rf "$SCRATCH"
mkdir -p "$SCRATCH"
cd "$SCRATCH"

fail() {
  echo "$*" >&2
  exit 1
}

# The one file of this name in a tree.
find_one() { # TREE NAME
  local found
  found=$(find "$1" -name "$2")
  [[ -n $found && $found != *$'\n'* ]] || fail "expected one $2 in $1, found: ${found:-none}"
  printf '%s' "$found"
}

# The installed program, started as one rank.
espalier() { "$MPIEXEC" -n 1 "$TREE/bin/espalier" "$@"; }

# Compile and link C files against a tree through its pkg-config file.
compile() { # TREE OUTPUT FILE...
  local folder
  folder=$(dirname -- "$(find_one "$1" espalier.pc)")
  # shellcheck disable=SC2046
  "$MPICC" -std=c11 -Wall -Wextra -Werror "${@:3}" $(PKG_CONFIG_PATH=$folder pkg-config --cflags --libs espalier) -o "$2"
}
