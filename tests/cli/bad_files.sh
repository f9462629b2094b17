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

# Statistics of a language model that claim more, or no, logits: 61 is the vocabulary.
small=$tests/golden/transformers/llama-mha-f32
must collect "$small" -d "$small/reference.h5" --micro-batch 1 --width -o s.h5
claim_logits() { # COUNT
  rm -f claims.h5
  for name in $(h5ls s.h5 | awk '$1 != "logits" { print $1 }'); do h5copy -i s.h5 -o claims.h5 -s "/$name" -d "/$name"; done
  numbers 99 1 1 1 >units
  h5import units -dims 99 -path /logits/units -type TEXTIN -size 64 -o claims.h5
  LC_ALL=C sed -i -E "s/(\"logit_units\": *)61/\\1$1/" claims.h5
}
prune_width() { expect_failure "statistics: $1" "$2" -- prune "$small" --stats claims.h5 --sites width --repair none --no-stability --criterion "$3" -o "$out/p.h5"; }
claim_logits 99
prune_width "more logits than the model has" "at most the model's 61 logits, found 99" wanda
claim_logits 00
prune_width "no number of logits" "/meta is not JSON" wanda
claim_logits ' 0'
prune_width "no logits" "/logits/units is I64 (99), I64 (0) expected" set-mi
claim_logits -9
prune_width "less than no logits" "/logits/units is I64 (99), I64 (-9) expected" set-mi
LC_ALL=C sed 's/"layer_sizes"/"layer_sizez"/' "$model" >m.h5
expect_failure "model: no layer sizes" "m.h5: configuration: expected layer_sizes" -- info m.h5
LC_ALL=C sed 's/"model_type":"mlp"/"model_type":"mlq"/' "$model" >m.h5
expect_failure "model: unknown family" "mlq" -- info m.h5
LC_ALL=C sed 's/\[64,24,16,4\]/[64,25,16,4]/' "$model" >m.h5
expect_failure "model: sizes that its weights do not have" "expected shape" -- info m.h5
LC_ALL=C sed 's/layers.1.bias/layers.1.bios/' "$model" >m.h5
expect_failure "model: damaged names" "m.h5" -- info m.h5
finish
