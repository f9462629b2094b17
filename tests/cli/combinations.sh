#!/usr/bin/env bash
# Combinations of options, as combinations.txt has them: each works, with one selection at 1 and 2 ranks, or is refused in one
# line, and nothing of it is left.
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
golden=$tests/golden/transformers table=$here/combinations.txt

make_files() {
  local name
  cp "$model" mlp && cp -r "$data" mlp.data && cp "$stats" mlp.stats.h5
  cp -r "$golden/llama-gqa-linear-bf16" llama
  cp -r "$golden/gpt2-f32" gpt2
  cp -r "$golden/bert-classifier-f32" classifier
  cp -r "$golden/bert-encoder-bf16" encoder
  numbers 48 20 61 1 | add_column gpt2.data tokens 48,20
  cp gpt2.data llama.data
  numbers 48 1 20 2 | awk '{ print $1 + 1 }' | add_column gpt2.data lengths 48
  cp gpt2.data encoder.data
  numbers 48 1 3 3 | add_column gpt2.data labels 48
  mv gpt2.data classifier.data && cp llama.data gpt2.data
  for name in llama gpt2 classifier encoder; do
    collect $name.stats.h5 $name -d $name.data --micro-batch 8
    collect $name.made.h5 $name -d maximum-entropy --samples 2560 --micro-batch 8
  done
  collect mlp.made.h5 mlp -d maximum-entropy --samples 512 --micro-batch 64
}
collect() { run_alone collect "${@:2}" -o "$1" --quiet >/dev/null; }

# run_row RANKS OPTION...: its exit code. Writes to $out, $ERRORS and $out.printed.
run_row() {
  local code=0
  : >"$ERRORS"
  if (($1 == 1)); then
    run_alone prune "${@:2}" -o "$out/p.h5" --quiet >"$out.printed" 2>"$ERRORS" || code=$?
  else
    # shellcheck disable=SC2016
    timeout -k 5 60 "$MPIEXEC" -n "$1" sh -c 'exec "$0" "$@" 2>>"$ERRORS"' \
      "$ESPALIER" prune "${@:2}" -o "$out/p.h5" --quiet >"$out.printed" 2>"$out.mpirun" || code=$?
  fi
  echo $code
}

# What a row does at some ranks: "ok CHECKSUM", "refused", or what is wrong.
describe() {
  local code fault
  mkdir "$out"
  code=$(run_row "$@")
  fault=$(find_fault "$code" "")
  if ((code == 0)); then sed -n 's/^selection checksum: /ok /p' "$out.printed"
  elif [[ $fault ]]; then echo "$fault"
  elif ((code > 5)); then echo "exit code $code"
  else echo refused
  fi
  rm -r "$out"
}

# judge NUMBER OUTCOME KNOWN OPTION...: one line for the row.
judge() {
  local out=rows/$1 outcome=$2 known=$3 one two found verdict=ok
  export ERRORS=$SCRATCH/rows/$1.errors
  one=$(describe 1 "${@:4}") two=$(describe 2 "${@:4}")
  found=$one
  [[ $one == "$two" ]] || found="np1: $one; np2: $two"
  case "$outcome $found" in
    "ok ok "* | "refused refused" | "either ok "* | "either refused") [[ $known == - ]] || verdict="FAILED  mended, so its 'known' must become -:" ;;
    *) [[ $known != - ]] || verdict="FAILED  expected $outcome, found '$found' $(tail -n 1 "$ERRORS"):" ;;
  esac
  [[ $known == - || $verdict != ok ]] || verdict=known
  printf '%-7s %s\n' "$verdict" "prune ${*:4}" >"rows/$1.verdict"
}

judge_all() {
  local outcome known options number=0
  mkdir rows
  while read -r -u 3 outcome known options; do
    [[ $outcome != "#" ]] || continue
    while (($(jobs -rp | wc -l) >= 2)); do wait -n; done
    # shellcheck disable=SC2086
    judge $number "$outcome" "$known" $options &
    number=$((number + 1))
  done 3<"$table"
  wait
  cases=$number
  for ((number = 0; number < cases; number++)); do cat "rows/$number.verdict"; done >verdicts
  cat verdicts
  failures=$(grep -vcE '^(ok|known) ' verdicts || true)
}

make_files
judge_all
for kind in criterion allocation repair; do
  [[ $kind == criterion ]] && plural=criteria || plural=${kind}s
  for name in $(run_alone info | awk -v of="$plural:" '/^[a-z]+:$/ { on = $1 == of; next } on { print $1 }'); do
    check "rows with $kind $name" grep -qE "^ok .* --$kind $name( |\$)" "$table"
  done
done
finish
