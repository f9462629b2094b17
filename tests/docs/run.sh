#!/usr/bin/env bash
# Runs the commands that README.md and docs/ show, and compares what they print with what is written there.
#   ESPALIER: the program   MPIEXEC: mpirun   SCRATCH: folder of this test
#
# Fenced blocks of the kind "console" are run, all those of a file in one folder, from the top; other blocks are not. In a
# block a line "$ COMMAND" is run (after a backslash it goes on in the next line), and the lines below are what it prints:
#   - lines that begin with "espalier: " are the log. They must be on stderr in this order; others may stand between them.
#     A command whose block shows "espalier: error: " must fail, any other must succeed.
#   - other lines are stdout, all of it. A line "..." stands for any lines; "..." at the end of a line for any rest.
# Words and whole numbers must be the same, other numbers to 1 % or one in the last place. compare.awk has what differs from
# machine to machine: seconds, rates, speed-ups, memory, checksums, folders.
set -euo pipefail

unset CDPATH
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../.." && pwd)
rm -rf "$SCRATCH"
mkdir -p "$SCRATCH/bin" "$SCRATCH/tests"
cp -r "$root/tests/models" "$SCRATCH/tests"
cp -r "$root/configs" "$SCRATCH"
ln -s "$ESPALIER" "$SCRATCH/bin/espalier"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$MPIEXEC" >"$SCRATCH/bin/mpirun"
chmod +x "$SCRATCH/bin/mpirun"
export PATH=$SCRATCH/bin:$PATH
# Several times faster: no search for networks, no second's wait for ranks to end where one has failed, no shared table of ranks.
export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader OMPI_MCA_osc=^ucx OMPI_MCA_odls_base_sigkill_timeout=0 PMIX_MCA_gds=hash
commands=0 failures=0

fail() {
  failures=$((failures + 1))
  echo "FAILED  $document: $command"
  cat "$log"/{fault,out,err}
}

# Run the command and compare what it prints with the lines in $log/expected.
run_command() {
  local wanted=0 code=0
  commands=$((commands + 1))
  if grep -q '^espalier: error: ' "$log/expected"; then wanted=1; fi
  eval "$command" >"$log/out" 2>"$log/err" </dev/null || code=$?
  if ((wanted != (code > 0))); then
    echo "exit code $code" >"$log/fault"
    fail
  elif awk -f "$here/compare.awk" "$log/expected" "$log/out" "$log/err" >"$log/fault"; then
    echo "ok      $document: $command"
  else
    fail
  fi
}

# Lines of a console block, to its end: a command and what it prints, again and again.
run_block() {
  local line
  command=''
  while IFS= read -r line <&3 && [[ $line != '```'* ]]; do
    if [[ $command == *\\ ]]; then
      command=${command%\\}$line
    elif [[ $line == '$ '* ]]; then
      [[ -z $command ]] || run_command
      command=${line#'$ '}
      : >"$log/expected"
    else
      echo "$line" >>"$log/expected"
    fi
  done
  [[ -z $command ]] || run_command
}

run_document() {
  local line folder=$SCRATCH/${1//\//-}
  document=$1 log=$folder.log
  mkdir -p "$folder" "$log"
  ln -s ../tests ../configs "$folder"
  cd "$folder"
  while IFS= read -r line <&3; do
    if [[ $line == '```console' ]]; then run_block; fi
  done 3<"$root/$1"
}

# Options that the text names are the program's, or those of other programs that it shows.
check_options() {
  local foreign='array|bind-to|build|dependency|eval|exclusive|first|help|install|kill-on-invalid-dep|length|limit|networks'
  foreign+='|ntasks|ntasks-per-node|port|prefix|preset|requeue|signal|training'
  for command in info plan train recover collect prune eval sweep export tokenize; do espalier "$command" --help; done |
    grep -oE -- '--(\[no-\])?[a-z-]+' | sed 's/\[no-\]//' | sort -u >"$SCRATCH/options"
  [[ -s $SCRATCH/options ]]
  # shellcheck disable=SC2016
  grep -oE -- '(^|[ `(])--[a-z][a-z-]*' "${documents[@]}" | sed '/-$/d; s/:.*--no-/:--/; s/:[^-]*--/:--/' | sort -u |
    while IFS=: read -r document option; do
      grep -qxF -e "$option" "$SCRATCH/options" || [[ ${option#--} =~ ^($foreign)$ ]] || echo "$document names $option, which is no option"
    done
}

cd "$root"
documents=(README.md docs/*.md docs/*/*.md)
unknown=$(check_options)
if [[ -n $unknown ]]; then
  echo "$unknown"
  failures=1
fi
for document in "${documents[@]}"; do run_document "$document"; done
echo "$commands commands, $failures failed"
exit $((failures > 0 || commands == 0))
