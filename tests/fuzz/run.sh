#!/usr/bin/env bash
# A harness with libFuzzer, from its corpus alone: what it learns goes to a folder that is empty before.
#   run.sh LEARNT-FOLDER HARNESS ARGUMENT...
set -euo pipefail
rm -rf "$1"
mkdir -p "$1"
exec "$2" "$1" "${@:3}"
