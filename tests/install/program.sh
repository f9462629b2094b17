#!/usr/bin/env bash
# The program runs where it lies, and its manual knows all of its commands.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

espalier --version
manual=$(find_one "$TREE" espalier.1)
commands=$(espalier --help | awk '/^  [a-z]/ { print $1 }')
[[ -n $commands ]]
for command in $commands; do
  grep -q "^\.BI* *\"*$command" "$manual" || fail "not in the manual: $command"
done
