#!/usr/bin/env bash
# Folders that are not there or may not be written, full disks: nothing under the final name.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

train=(train -d "$data" --hidden 24,16 --epochs 2 --batch 64 --micro-batch 16 -o)
collect=(collect "$model" -d "$data" "${collection[@]}" -o)
prune=(prune "$model" --stats "$stats" -o)
all_commands() { # NAME TEXT FILE
  expect_failure "train: $1" "$2" -- "${train[@]}" "$3"
  expect_failure "collect: $1" "$2" -- "${collect[@]}" "$3"
  expect_failure "prune: $1" "$2" -- "${prune[@]}" "$3"
  expect_failure "eval: $1" "$2" -- eval "$model" -d "$data" --no-speed --json "$3"
}

all_commands "no such folder" "no folder out/none" out/none/x.h5
echo text >file
all_commands "a file as folder" "no folder file" file/x.h5
mkdir folder
all_commands "a folder as file" "it is a folder" folder
all_commands "a device" "not a plain file" /dev/full
for kind in train collect prune; do
  declare -n command=$kind
  expect_failure "$kind: a colon, which MPI-IO cannot take" "without ':'" -- "${command[@]}" out/a:b.h5
done

# As root, permissions bind somebody else: nobody, where that user can reach the program and the data.
as_nobody=()
if ((EUID == 0)); then as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
may_run() { HOME=/ "${as_nobody[@]}" sh -c '"$0" info "$1" && ! touch locked/x' "$ESPALIER" "$model" >/dev/null 2>&1; }
run_restricted() { HOME=/ "${as_nobody[@]}" timeout -k 5 120 "$ESPALIER" "$@" 2>"$ERRORS"; }
mkdir locked && chmod 555 locked
if may_run; then
  runner=run_restricted
  all_commands "a folder that may not be written" "locked/x.h5" locked/x.h5
  unset runner
else
  skip "a folder that may not be written: no user here that can run the program but not write"
fi

for LIMIT in 8 2056; do # in 512 bytes; the second lets the file begin
  starts_limited || continue
  for kind in train collect prune; do
    declare -n command=$kind
    runner=run_limited expect_failure "$kind: limit of $((LIMIT / 2)) KiB on files" "out/x.h5" -- "${command[@]}" out/x.h5
  done
done

# A full file system: a small tmpfs in a mount namespace of our own.
namespace=(unshare --mount)
if ((EUID != 0)); then namespace+=(--map-current-user --keep-caps); fi
run_on_tmpfs() { # the output folder has room for SMALL kilobytes
  # shellcheck disable=SC2016
  "${namespace[@]}" sh -c 'mount -t tmpfs -o size="$0"k none out && cd . && "$@"; code=$?; ls -A out >left; exit $code' \
    "$small" timeout -k 5 120 "$MPIEXEC" -n "$RANKS" sh -c 'exec "$0" "$@" 2>>"$ERRORS"' "$ESPALIER" "$@" 2>mpirun.log
}
if "${namespace[@]}" sh -c 'mount -t tmpfs -o size=64k none out' 2>/dev/null; then
  for small in 16 1028; do
    for kind in train collect prune; do
      declare -n command=$kind
      : >"$ERRORS"
      runner=run_on_tmpfs
      expect_failure "$kind: $small KiB left on the disk" "out/x.h5" -- "${command[@]}" out/x.h5
      unset runner
      [[ $kind != train || $small = 16 ]] || check "train: $small KiB: said before the first step" grep -q "two at a time" "$ERRORS"
      check "$kind: nothing left on the disk" test ! -s left
    done
  done
else
  skip "a full file system: no tmpfs may be mounted here"
fi

full_stdout() { ! timeout -k 5 120 "$ESPALIER" "$@" >/dev/full 2>"$ERRORS" && [[ $(wc -l <"$ERRORS") == 1 ]]; }
check "stdout is full: text" full_stdout info "$model"
check "stdout is full: JSON" full_stdout info "$model" --json -
finish
