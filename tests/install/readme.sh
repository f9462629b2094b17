#!/usr/bin/env bash
# Every path that an installed README names is there.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

readme=$(find "$TREE" -path '*/doc/espalier/README.md')
[[ -f $readme ]] || fail "expected one README among the documents, found: ${readme:-none}"
if grep -n '@[A-Z_]*@' "$readme"; then fail "names that were not filled in"; fi

# In back quotes, with a slash or an ending; in indented commands, what begins with a folder of the tree.
named() {
  grep -o '`[^` ]*`' "$1" | tr -d '`' | grep -E '^[A-Za-z0-9_.+/-]+$' | grep -E '/|\.(md|h|c|py|sh)$|^[A-Z]+$' || true
  grep '^    ' "$1" | grep -oE '(^| )(bin|share|lib|include)/[A-Za-z0-9_./-]+' | tr -d ' ' || true
}

count=0
for path in $(named "$readme"); do
  [[ -e $TREE/$path || -e $(dirname -- "$readme")/$path ]] || fail "$readme names $path, which is not installed"
  count=$((count + 1))
done
((count >= 12)) || fail "found only $count paths in $readme: is the test reading it?"

example=$(find_one "$TREE" rank_units.c)
for path in $(named "${example%/*}/README.md"); do
  [[ -e $TREE/$path || -e ${example%/*}/$path ]] || fail "the example's README names $path, which is not installed"
done
