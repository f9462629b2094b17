#!/usr/bin/env bash
# Every installed header compiles alone, as C11 and as C++17, without a warning.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

include=$(dirname -- "$(dirname -- "$(dirname -- "$(find_one "$TREE" criterion.h)")")")
mapfile -t headers < <(cd "$include" && find espalier -name '*.h' | sort)
((${#headers[@]} > 50)) || fail "expected more headers than ${#headers[@]}"

check() { # LANGUAGE STANDARD HEADER
  printf '#include <%s>\n' "$3" |
    "$MPICC" -x "$1" "-std=$2" -Wall -Wextra -Werror -fsyntax-only "-I$include" - || fail "$3 is not good $2"
}

for header in "${headers[@]}"; do
  check c c11 "$header"
  check c++ c++17 "$header"
done
