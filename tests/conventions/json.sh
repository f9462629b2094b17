#!/usr/bin/env bash
# Calls of jansson that fail on bytes or numbers are made in core/json.c alone.
#   SOURCE: the project's folder
set -euo pipefail

cd "$SOURCE"
found=$(grep -rnE '(^|[^_a-z])json_(pack|string|real|dumps)\(' src/cli src/comm src/core src/io src/prune src/stats --include='*.c' |
  grep -v '^src/core/json.c:' || true)
[[ -z $found ]] || { echo "$found" && echo "these can fail: call esp_json_... instead (core/json.h)" && exit 1; }
