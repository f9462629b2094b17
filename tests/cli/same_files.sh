#!/usr/bin/env bash
# An output that is an input by any name is refused and nothing is touched; an output through a link is its target.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

mkdir m d elsewhere
cp "$llama/config.json" "$llama/model.safetensors" m/
cut_tokens 2 "$llama/calibration.h5" d/calibration.h5
ln d/calibration.h5 hard.h5
ln -s d/calibration.h5 soft.h5
cp "$stats" s.h5
cp "$model" p.h5
cp s.h5 x.h5.stats.h5
sums() { md5sum m/* d/* s.h5 p.h5 x.h5.stats.h5; }
sums >before

refuse() { # NAME -- ARGUMENT...
  expect_failure "$1" "which is read" "${@:2}"
  check "$1: nothing is touched" diff before <(sums)
}
for name in d/calibration.h5 ./d/../d/calibration.h5 hard.h5 soft.h5; do
  refuse "collect: --data as -o $name" -- collect m -d d/calibration.h5 --fisher-tokens 0 --no-width -o "$name"
  refuse "eval: --data as --logits $name" -- eval m -d d/calibration.h5 --no-speed --logits "$name"
done
refuse "a file of the data folder" -- eval m -d d --split train --no-speed --logits d/calibration.h5
refuse "the weights of the model" -- prune m -d d -o m/model.safetensors
refuse "the configuration of the model" -- info m --json m/config.json
refuse "the model itself" -- prune p.h5 --stats s.h5 -o p.h5
refuse "the statistics" -- prune "$model" --stats s.h5 -o s.h5
refuse "the second model of eval" -- eval "$model" p.h5 -d "$data" --no-speed --json p.h5
refuse "the kept statistics as data" -- prune m -d x.h5.stats.h5 --keep-stats -o x.h5
refuse "the model's folder" -- export m m
cp -r m e.partial
refuse "a folder in the making" -- export e.partial e
printf 'run.seed: 1\n' >c.yaml
refuse "the configuration file" -- info m --config c.yaml --json c.yaml
expect_failure "two outputs" "different names" -- eval m -d d --split train --no-speed --json y --logits ./y
expect_failure "the report as --json" "different names" -- prune "$model" --stats s.h5 -o z.h5 --json z.h5.report.json
long=$(printf 'n%.0s' {1..240})
expect_failure "a name that is too long with its endings" "a shorter name" -- \
  prune "$model" --stats s.h5 -o "$long.h5"

# through NAME TARGET: TARGET is what the link NAME points to, and holds the result afterwards.
through() {
  ln -s "$2" "$1.json"
  must info m --json "$1.json"
  check "through $1: still a link" test -L "$1.json"
  check "through $1: the target is written" grep -q parameters_prunable "$1.json"
}
through dangling elsewhere/new.json
echo old >elsewhere/old.json
through relative elsewhere/old.json
through twice dangling.json
other=$(mktemp -d /dev/shm/espalier.XXXXXX 2>/dev/null || mktemp -d)
trap 'rm -rf "$other"' EXIT
through file_system "$other/far.json"
check "through file_system: nothing else there" test "$(ls "$other")" = far.json
ln -s elsewhere/pruned.h5 pruned.h5
must prune "$model" --stats s.h5 -o pruned.h5
must prune "$model" --stats s.h5 -o plain.h5
check "prune through a link: still a link" test -L pruned.h5
check "prune through a link: the same model" cmp <(h5dump -d /report pruned.h5 | grep -o '"selection_checksum[^,]*') \
  <(h5dump -d /report plain.h5 | grep -o '"selection_checksum[^,]*')
check "prune through a link: nothing half made" test -z "$(find . -name '*.partial' -type f -o -name '*.journal')"
must prune "$model" --stats s.h5 -o pruned.h5
check "a result is replaced" test -s elsewhere/pruned.h5
must info m --json m/result.json
must info m --json m/result.json
check "a result in an input folder is replaced" test -s m/result.json
finish
