#!/usr/bin/env python3
"""Write gradients.json for tests/mpi/flow/gradients.c: what PyTorch finds for every weight of the checkpoints.

    python3 gradients.py > gradients.json

The function is sum(d . outputs), d[i] = sin(i mod 1009) in C order over /logits or /embeddings of reference.h5, 0 behind
a sequence's length. {checkpoint: {weight: [largest modulus, values...]}}: values are those at i * count / 8, i = 0..7,
of the flattened gradient.
"""
import json
import sys
from pathlib import Path

import h5py
import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "analysis/models"))
import make_reference  # noqa: E402

VALUES = 8
PREFIXES = {"BertModel": "bert.", "LlamaModel": "model.", "MistralModel": "model.", "GPT2Model": "transformer."}


def run(model, data):
    outputs, mask = make_reference.run(model, data)
    values = outputs["logits" if "logits" in outputs else "embeddings"]
    d = torch.sin((torch.arange(values.numel()) % 1009).to(torch.float64)).to(torch.float32).reshape(values.shape)
    return (values * (d * mask[:, :, None] if values.ndim == 3 else d)).sum()


def pick(gradient):
    flat = gradient.flatten().numpy()
    at = [i * len(flat) // VALUES for i in range(VALUES)]
    return [float(f"{value:.8g}") for value in [np.abs(flat).max(), *flat[at]]]


def compute(folder):
    with h5py.File(folder / "reference.h5") as file:
        data = {name: values[()] for name, values in file.items() if name in ("tokens", "lengths", "token_types")}
    model = make_reference.load(folder)
    model.requires_grad_(True)
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            module.padding_idx = None  # PyTorch would leave out its gradient
    run(model, data).backward()
    prefix = PREFIXES.get(type(model).__name__, "")
    return {prefix + name: pick(weight.grad) for name, weight in model.named_parameters(remove_duplicate=False)
            if weight.grad is not None}


def main():
    torch.set_num_threads(1)
    folders = sorted(folder for folder in HERE.iterdir() if (folder / "reference.h5").exists())
    folders += [HERE.parents[1] / "models" / name for name in ("bert", "gpt2", "llama")]
    lines = [f"{json.dumps(folder.name)}: {json.dumps(compute(folder))}" for folder in folders]
    print("{" + ",\n".join(lines) + "}")


if __name__ == "__main__":
    main()
