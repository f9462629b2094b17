"""FLAP and least squares as PyTorch does them: flap.py MODEL TOKENS.h5 SEQUENCES OUT

Hooks sum second moments of what every down projection reads; a quarter of the neurons goes, by FLAP's score; the
projection is refitted to its dense output; the model is saved as safetensors. The head is not computed. Prints CPU
seconds behind the imports, and the peak of the memory.
"""
import json
import os
import resource
import sys
import time

import h5py
import torch
from transformers import AutoModelForCausalLM

torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', '1')))
torch.set_num_interop_threads(1)
path, tokens, sequences, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
begin, wall = time.process_time(), time.perf_counter()
model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation='sdpa').eval()
ids = torch.tensor(h5py.File(tokens)['tokens'][:sequences].astype('int64'))
layers, size = model.model.layers, model.config.intermediate_size
squares = [torch.zeros(size, size) for _ in layers]
sums = [torch.zeros(size) for _ in layers]


def hook(i):
    def add(_, inputs):
        x = inputs[0].reshape(-1, size)
        squares[i].addmm_(x.t(), x)
        sums[i].add_(x.sum(0))
    return add


hooks = [layer.mlp.down_proj.register_forward_pre_hook(hook(i)) for i, layer in enumerate(layers)]
with torch.inference_mode():
    for batch in ids.split(2):
        model.model(batch, use_cache=False)
    for each in hooks:
        each.remove()
    rows = ids.numel()
    for i, layer in enumerate(layers):
        gram, mean = squares[i].double() / rows, sums[i].double() / rows
        weight = layer.mlp.down_proj.weight
        score = (gram.diagonal() - mean ** 2).float() * (weight ** 2).sum(0)
        keep = score.topk(int(round(size * 0.75))).indices.sort().values
        kept = gram[keep][:, keep].clone()
        kept.diagonal().add_(1e-4 * kept.diagonal().mean())
        fitted = torch.cholesky_solve(gram[keep] @ weight.double().t(), torch.linalg.cholesky(kept))
        layer.mlp.down_proj.weight = torch.nn.Parameter(fitted.t().float().contiguous(), requires_grad=False)
        for part in (layer.mlp.gate_proj, layer.mlp.up_proj):
            part.weight = torch.nn.Parameter(part.weight[keep].contiguous(), requires_grad=False)
    model.config.intermediate_size = len(keep)
    model.save_pretrained(out)
print(json.dumps({'cpu_s': time.process_time() - begin, 'wall_s': time.perf_counter() - wall,
                  'peak_mib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
