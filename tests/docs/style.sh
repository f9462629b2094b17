#!/usr/bin/env bash
# The text of the documentation: paragraphs of at most 90 words, a README of at most 100 lines, no link and no named file of
# docs/ that does not exist.
set -euo pipefail

unset CDPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
failures=0
fail() {
  echo "$*"
  failures=$((failures + 1))
}

# Paragraphs with more than 90 words: FILE:LINE. Code, tables and headings are none; every item of a list is one.
list_long_paragraphs() {
  awk '
    function flush() { if (words > 90) print file ":" start ": a paragraph of " words " words, 90 at most"; words = 0 }
    FNR == 1 { flush(); fenced = 0 }
    /^ *```/ { flush(); fenced = !fenced; next }
    fenced { next }
    /^[ \t]*$/ { flush(); empty = 1; next }
    /^(#|\||<!--)/ || (/^    / && empty) { flush(); next }
    /^ *([-*]|[0-9]+\.) / { flush() }
    { if (!words) { start = FNR; file = FILENAME } words += NF; empty = 0 }
    END { flush() }' "$@"
}

# Links to files, relative to the file that has them: FILE TARGET
list_links() {
  awk '{
    while (match($0, /\]\([^)]+\)/)) {
      target = substr($0, RSTART + 2, RLENGTH - 3)
      $0 = substr($0, RSTART + RLENGTH)
      sub(/#.*/, "", target)
      if (target != "" && target !~ /^[a-z]+:/) print FILENAME, target
    }
  }' "$@"
}

# Files of docs/ that any file of the repository names: FILE TARGET
list_names() {
  grep -rohE --include='*.'{md,c,h,cmake,sh,py,in} '\bdocs/[A-Za-z0-9_/-]+(\.[a-z0-9]+)*' README.md CHANGELOG.md docs src include cmake tests analysis bench |
    sort -u
}

documents=(README.md docs/{guide,options,cluster,report,experiments}.md docs/method/*.md)
while IFS= read -r line; do fail "$line"; done < <(list_long_paragraphs "${documents[@]}")
lines=$(wc -l <README.md)
((lines <= 100)) || fail "README.md: $lines lines, 100 at most"
while read -r file target; do
  [[ -e $(dirname -- "$file")/$target ]] || fail "$file: links to $target, which does not exist"
done < <(list_links README.md docs/*.md docs/*/*.md)
while read -r target; do
  [[ -e $target ]] || fail "$target is named, and does not exist: $(grep -rlF "$target" README.md CHANGELOG.md docs src include cmake tests analysis bench | tr '\n' ' ')"
done < <(list_names)
exit $((failures > 0))
