#!/usr/bin/env bash
# Which functions are collective is seen in every header, by name and by comment.
#   SOURCE: the project's folder   SCRATCH: folder of this test
set -euo pipefail

here=$(dirname -- "${BASH_SOURCE[0]}")
check() { awk -v least="$1" -f "$here/collective.awk" "${@:2}"; }

# A header with one of each mistake: none passes unseen.
rm -rf "$SCRATCH"
mkdir -p "$SCRATCH"
wrong=$SCRATCH/wrong.h
cat >"$wrong" <<'C'
/* Collective on comm; equal on all ranks: root. */
void esp_good(const esp_comm *comm, int root);
/* Local. */
int esp_good_local(const esp_stats *stats);
int esp_other(const esp_stats_rows *rows);
/* Local. */
int esp_unmarked(const esp_h5 *file,
                 const char *name);
/* Collective on *journal. */
void esp_marked_local(esp_journal **journal);
/* What it does, and for whom it does not say. */
void esp_silent(const esp_comm *comm);
/* Collective on comm; the second one: Local. */
void esp_both(const esp_comm *comm);
C
if check 6 "$wrong" >"$SCRATCH/found"; then
  echo "the wrong header passed"
  exit 1
fi
for name in esp_unmarked esp_marked_local esp_silent esp_both; do
  grep -q ": $name " "$SCRATCH/found" || { echo "not found: $name"; exit 1; }
done
if grep -Eq ": esp_(good|good_local|other) " "$SCRATCH/found"; then
  echo "found what is right"
  exit 1
fi

mapfile -t headers < <(find "$SOURCE/include" "$SOURCE/src" -name '*.h' | sort)
check 60 "${headers[@]}"
