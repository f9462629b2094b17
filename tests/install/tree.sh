#!/usr/bin/env bash
# The installed tree that the other tests here look at.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

rm -rf "$TREE"
cmake --install "$BUILD" --prefix "$TREE" >log || fail "$(cat log)"
