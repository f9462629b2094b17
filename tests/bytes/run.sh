#!/usr/bin/env bash
# The same bytes as recorded: statistics, selections, pruned models and qualities of the jobs in jobs.txt at 1 and 3 ranks.
#   run.sh PROGRAM [compare]    compare with expected.txt; 77 where the machine or the libraries are not those of the record
#   run.sh PROGRAM record       write expected.txt by a program that is known to be right
# A commit that must change a byte (a mended defect, a new version, which files hold) changes expected.txt too, and says why.
# HELPERS: folder of make_data and json_get (by default as the program's build has it); SCRATCH: folder that may go.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
ESPALIER=$(realpath -- "${1:?usage: run.sh PROGRAM [record|compare]}") mode=${2:-compare}
HELPERS=${HELPERS:-$(dirname -- "$ESPALIER")/tests/cli}
MPIEXEC=${MPIEXEC:-$(command -v mpiexec)}
base=$(realpath -m -- "${SCRATCH:-${TMPDIR:-/tmp}/espalier-bytes}")

# Files hold the paths of their data and models. In a folder whose path has a fixed length, which is then struck out, their
# bytes are the same everywhere.
readonly path_length=240
padding=$((path_length - ${#base} - 1))
((padding > 0)) || { echo "SCRATCH: expected a path below $path_length characters, found $base" && exit 1; }
SCRATCH=$base/$(printf 'x%.0s' $(seq $padding)) SHARED=$base RANKS=1

# Products in double precision, libm and joint counts have the same bits on every processor with AVX2 and FMA, since these
# kernels exist there; those in single precision have them by both kernels of the program.
export OPENBLAS_CORETYPE=Haswell ESPALIER_KERNEL=avx2 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none
. "$here/../cli/lib.sh"
golden=$tests/golden/transformers

# What rounding depends on besides the program: libm, products, MPI under ScaLAPACK, and the layout of files.
print_libraries() {
  local blas
  blas=$(ldd "$ESPALIER" | awk '/libblas|libopenblas/ && !found { print $3; found = 1 }')
  echo "libraries: $(LC_ALL=C grep -aom1 'OpenBLAS [0-9.]*[0-9]' "$blas" || echo 'another BLAS')," \
    "$(getconf GNU_LIBC_VERSION), $(h5dump --version | sed 's/.*Version/HDF5/')," \
    "$("$MPIEXEC" --version 2>/dev/null | sed -n '1s/.*(Open[^)]*) /Open MPI /p')"
}

skip_unless_comparable() {
  local flags
  flags=$(grep -m1 '^flags' /proc/cpuinfo || true)
  [[ " $flags " == *" avx2 "* && " $flags " == *" fma "* ]] || { echo "skipped: a processor without AVX2 and FMA" && exit 77; }
  [[ $mode == record ]] || grep -qxF "$(print_libraries)" "$here/expected.txt" ||
    { echo "skipped: recorded with other $(head -n 1 "$here/expected.txt"); here $(print_libraries)" && exit 77; }
}

# The first sequences of a token file, all of its columns: cut_sequences COUNT FILE OUTPUT
cut_sequences() {
  local name columns
  for name in tokens lengths labels; do
    columns=$(h5ls "$2/$name" 2>/dev/null | sed -n 's/.*{[0-9]*\(, [0-9]*\)*}/\1/p' | tr -d ' ') || continue
    h5ls "$2/$name" >h5ls.log 2>&1 || continue
    h5dump -d "/$name" -s "0${columns:+,0}" -c "$1$columns" -b LE -o column "$2" >h5dump.log
    h5import column -dims "$1$columns" -path "/$name" -type IN -size 32 -o "$3"
  done
}

make_data() {
  mkdir images
  "$HELPERS/make_data" images 8 4 600 200
  numbers 48 20 61 1 | add_column tokens tokens 48,20
  numbers 48 20 61 2 | add_column padded tokens 48,20
  numbers 48 1 20 3 | awk '{ print $1 + 1 }' | add_column padded lengths 48
  numbers 48 20 2 4 | add_column padded token_types 48,20
  cp padded classes
  numbers 48 1 2 5 | add_column classes labels 48
  cut_sequences 6 "$llama/calibration.h5" novels
  cut_sequences 24 "$bert/calibration.h5" packages
}

copy_models() {
  local pair
  for pair in llama-gqa=llama-gqa-linear-bf16 mistral=mistral-bf16 qwen2=qwen2-bf16 qwen3=qwen3-f32 qwen3-tied=qwen3-bias-tied-bf16 \
    gpt2-tiny=gpt2-f32 bert-classes=bert-classifier-sharded-f16 bert-encoder=bert-encoder-bf16 \
    bert-pooler=bert-encoder-pooler-f32 bert-mlm=bert-mlm-f16; do
    cp -r "$golden/${pair#*=}" "${pair%%=*}"
  done
  cp -r "$llama" "$gpt2" "$bert" .
}

# SHA-256 of a file once the folder is struck out.
hash_of() { LC_ALL=C sed "s|$SCRATCH|${SCRATCH//?/x}|g" "$1" | sha256sum | head -c 64; }

# The numbers of eval --json, in one line.
print_quality() {
  awk '/"results"/ { on = 1 } on && /^  \]/ { exit } on && /": [0-9]/ { gsub(/[ ",]/, ""); printf " %s", $0 }' "$1"
}

# The rows of a job at some ranks: measure NAME RANKS MODEL CALIBRATION EVALUATION OPTION...
measure() {
  local key="$1 np$2" ranks=$2 model=$3 calibration=() evaluation=(-d "$5")
  [[ $4 == - ]] || calibration=(-d "$4")
  rm -f p.h5*
  run "$ranks" prune "$model" "${calibration[@]}" --keep-stats "${@:6}" -o p.h5 --quiet >printed || { echo "$key failed: $(<"$ERRORS")" && return; }
  [[ ! -e p.h5.stats.h5 ]] || echo "$key statistics $(hash_of p.h5.stats.h5)"
  sed -n "s/^selection checksum:/$key selection/p" printed
  echo "$key printed $(hash_of printed)"
  h5dump -d /report -b -o report p.h5 >h5dump.log
  echo "$key report $(hash_of report)"
  echo "$key pruned $(hash_of p.h5)"
  run "$ranks" eval "$model" p.h5 "${evaluation[@]}" --no-speed --json eval.json --quiet >printed || { echo "$key failed: $(<"$ERRORS")" && return; }
  echo "$key quality$(print_quality eval.json)"
}

measure_all() {
  local name model calibration evaluation options ranks
  run 3 train -d images --hidden 24,16 --epochs 8 --batch 64 --micro-batch 16 -o mlp --quiet >printed
  echo "mlp np3 trained $(hash_of mlp)"
  while read -r -u 3 name model calibration evaluation options; do
    [[ $name != "#" ]] || continue
    for ranks in 1 3; do
      # shellcheck disable=SC2086
      measure "$name" $ranks "$model" "$calibration" "$evaluation" $options
    done
  done 3<"$here/jobs.txt"
}

skip_unless_comparable
make_data
copy_models
{ print_libraries; measure_all; } >found.txt
if [[ $mode == record ]]; then
  if grep " failed: " found.txt; then exit 1; fi
  cp found.txt "$here/expected.txt"
  exit
fi
diff "$here/expected.txt" found.txt >differences || { echo "other than recorded (<: expected, >: found):"; head -n 60 differences; exit 1; }
echo "$(wc -l <found.txt) rows as recorded"
