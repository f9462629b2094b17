#!/usr/bin/env bash
# What cmake --install makes is enough: the program, its manual, and a program of somebody else's that links the archive.
#   BUILD: build folder   SCRATCH: folder of this test   MPICC: compiler of that build
set -euo pipefail

rm -rf "$SCRATCH"
mkdir -p "$SCRATCH"
cmake --install "$BUILD" --prefix "$SCRATCH/root" >"$SCRATCH/log"
cd "$SCRATCH"

root=$SCRATCH/root
"$root/bin/espalier" --version

# Every command of the program has its paragraph in the manual.
commands=$("$root/bin/espalier" --help | awk '/^  [a-z]/ { print $1 }')
[[ -n $commands ]]
for command in $commands; do
  grep -q "^\.BI* *\"*$command" "$root/share/man/man1/espalier.1" || { echo "not in the manual: $command"; exit 1; }
done

cat >user.c <<'C'
#include <espalier/information/information.h>
#include <espalier/information/joint.h>
#include <espalier/select/criterion.h>
#include <stdio.h>

int main(void) {
  const esp_criterion *criterion;
  if (esp_criterion_find("set-mi", &criterion) != ESP_OK) return 1;
  return puts(criterion->summary) < 0;
}
C
archive=$(find "$root" -name espalier.pc)
export PKG_CONFIG_PATH=${archive%/*}
# The files are configured for the prefix of the build; this installation lies elsewhere.
sed -i "s|^prefix=.*|prefix=$root|; s|^libdir=.*|libdir=${archive%/pkgconfig/*}|; s|^includedir=.*|includedir=$root/include|" "$archive"
# shellcheck disable=SC2046
"$MPICC" user.c $(pkg-config --cflags --libs espalier) -o user
./user
