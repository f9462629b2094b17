#!/usr/bin/env bash
# Missing, truncated, wrong-magic, wrong-version and damaged files of every kind.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

copy_data() { # a fresh copy of the test split, plain
  rm -rf bad
  mkdir bad
  cp "$data"/t10k-* bad
}
images=bad/t10k-images-idx3-ubyte labels=bad/t10k-labels-idx1-ubyte
expect_bad_data() { expect_failure "data: $1" "$2" -- eval "$model" -d bad --no-speed; }

rm -rf bad
expect_bad_data "no folder" "cannot open the data set bad"
mkdir bad
expect_bad_data "an empty folder" "no data set of a known format"
copy_data && rm "$labels"
expect_bad_data "no labels" "t10k-labels-idx1-ubyte"
copy_data && truncate -s 5000 "$images"
expect_bad_data "cut short" "is cut short"
copy_data && truncate -s 6 "$images"
expect_bad_data "header cut short" "IDX header of 16 bytes"
copy_data && : >"$images"
expect_bad_data "empty" "is cut short"
copy_data && echo >>"$images"
expect_bad_data "trailing bytes" "has trailing bytes"
copy_data && patch "$images" 2 '\014'
expect_bad_data "magic number of another type" "magic number 0x00000c03"
copy_data && patch "$images" 4 '\177\377\377\377\177\377\377\377\177\377\377\377'
expect_bad_data "dimensions beyond memory" "is cut short"
copy_data && patch "$labels" 7 '\0' && truncate -s 8 "$labels"
expect_bad_data "no samples" "is empty"
copy_data && patch "$labels" 7 '\144' && truncate -s 108 "$labels"
expect_bad_data "fewer labels than images" "do not belong together"
copy_data && gzip "$images" && truncate -s 3000 "$images.gz"
expect_bad_data "gzip cut short" "cut short"
copy_data && gzip "$images" && patch "$images.gz" 2000 '\377\377\377\377\377\377\377\377'
expect_bad_data "gzip damaged" "$images.gz"
copy_data && mv "$images" "$images.gz"
expect_bad_data "named .gz, but plain" "not a gzip file"

# Token files come from h5py, whose superblocks are older than ours.
llama=$(dirname -- "${BASH_SOURCE[0]}")/../models/llama
for bytes in 3000 100000; do
  head -c $bytes "$llama/heldout.h5" >t.h5
  expect_failure "tokens: $bytes bytes left" "t.h5 is truncated" -- eval "$llama" -d t.h5 --no-speed
done

cp "$model" m.h5
damage_h5 m.h5 model eval m.h5 -d "$data" --no-speed
cp "$stats" s.h5
damage_h5 s.h5 statistics prune "$model" --stats s.h5 -o "$out/p.h5"
expect_failure "statistics as model" "'espalier-model' is expected" -- info "$stats"
expect_failure "model as statistics" "'espalier-statistics' is expected" -- prune "$model" --stats "$model" -o "$out/p.h5"
LC_ALL=C sed 's/"layer_sizes"/"layer_sizez"/' "$model" >m.h5
expect_failure "model: no layer sizes" "m.h5: configuration: expected layer_sizes" -- info m.h5
LC_ALL=C sed 's/"model_type":"mlp"/"model_type":"mlq"/' "$model" >m.h5
expect_failure "model: unknown family" "mlq" -- info m.h5
LC_ALL=C sed 's/\[64,24,16,4\]/[64,25,16,4]/' "$model" >m.h5
expect_failure "model: sizes that its weights do not have" "expected shape" -- info m.h5
LC_ALL=C sed 's/layers.1.bias/layers.1.bios/' "$model" >m.h5
expect_failure "model: damaged names" "m.h5" -- info m.h5
finish
