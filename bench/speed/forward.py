"""A forward pass in PyTorch, float32: forward.py MODEL TOKENS.h5 SEQUENCES REPEATS [prefill]

Prints CPU seconds and wall seconds a pass, medians. A prefill has the logits of the last tokens alone.
"""
import os
import statistics
import sys
import time

import h5py
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', '1')))
torch.set_num_interop_threads(1)
path, tokens, sequences, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
is_encoder = AutoConfig.from_pretrained(path).model_type == 'bert'
kind = AutoModel if is_encoder else AutoModelForCausalLM
model = kind.from_pretrained(path, dtype=torch.float32, attn_implementation='sdpa').eval()
ids = torch.tensor(h5py.File(tokens)['tokens'][:sequences].astype('int64'))
options = {} if is_encoder else {'use_cache': False}
if sys.argv[5:] == ['prefill']:
    options['logits_to_keep'] = 1
cpu, wall = [], []
with torch.inference_mode():
    model(ids, **options)
    for _ in range(repeats):
        c, w = time.process_time(), time.perf_counter()
        model(ids, **options)
        cpu.append(time.process_time() - c)
        wall.append(time.perf_counter() - w)
print(statistics.median(cpu), statistics.median(wall))
