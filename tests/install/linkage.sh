#!/usr/bin/env bash
# Every function and table of the archive that a header declares links from a program in C++.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

archive=$(find_one "$TREE" libespalier.a)
include=$(dirname -- "$(dirname -- "$(dirname -- "$(find_one "$TREE" criterion.h)")")")
nm --defined-only "$archive" 2>/dev/null | awk '$2 ~ /^[TDRB]$/ && $3 ~ /^esp_/ { print $3 }' | sort -u >defined
grep -rhow 'esp_[a-z0-9_]*' "$include/espalier" | sort -u >declared
comm -12 defined declared >public
(($(wc -l <public) > 250)) || fail "expected more public names than $(wc -l <public)"

{
  (cd "$include" && find espalier -name '*.h' | sort | sed 's|.*|#include <&>|')
  echo 'const void *const all[] = {'
  sed 's|.*|(const void *)\&&,|' public
  echo '}; int main() { return all[0] == nullptr; }'
} >all.cc
"$MPICC" -x c++ -std=c++17 "-I$include" -c all.cc -o all.o
compile "$TREE" all all.o
./all
