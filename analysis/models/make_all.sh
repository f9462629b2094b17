#!/bin/sh
# Make everything below tests/models and tests/golden/transformers again. Needs a Debian 12 system and a
# Python with requirements.txt. Usage: make_all.sh WORK_DIR (for the texts); about 40 minutes on one core.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tests=$here/../../tests
export OMP_NUM_THREADS=1
"$here/fetch_data.sh" "$1"
for model in llama gpt2 bert; do
    nice -n 19 python3 "$here/train.py" "$model" "$1" "$tests/models/$model"
done
python3 "$here/make_tiny.py" "$tests/golden/transformers"
python3 "$here/make_reference.py" "$tests"/golden/transformers/*/ "$tests"/models/*/
python3 "$here/make_reference.py" --check "$tests"/golden/transformers/*/ "$tests"/models/*/
