#!/usr/bin/env python3
"""Write reference.json for tests/mpi/train/train_initial.c: what PyTorch makes of scores at initialisation, in double.

    OMP_NUM_THREADS=1 python3 reference.py

Gradients are autograd's: gates are vectors that multiply activations, GraSP's product is a second derivative, SynFlow's
flow that of a network of moduli. A perceptron has scores of all weights and masks without ties; the tiny GPT-2 of
../transformers has some scores, masks, and the threshold that they come from.
"""
import json
import sys
from pathlib import Path

import h5py
import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "analysis/models"))
from make_reference import load  # noqa: E402

SIZES, SAMPLES, MEAN, STD, TEMPERATURE = [12, 10, 8, 4], 40, 0.25, 0.5, 200.0
VALUES = 12  # of a matrix of the GPT-2


class Perceptron(torch.nn.Module):
    def __init__(self, random):
        super().__init__()
        self.maps = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in zip(SIZES, SIZES[1:]))
        for linear in self.maps:
            for weight, scale in ((linear.weight, (2 / linear.in_features) ** 0.5), (linear.bias, 0.1)):
                values = (scale * random.standard_normal(weight.shape)).astype(np.float32)
                weight.data = torch.from_numpy(values.astype(np.float64))
        self.matrices = {f"layers.{i}.weight": linear.weight for i, linear in enumerate(self.maps)}
        self.sites = {f"hidden.{i}": n for i, n in enumerate(SIZES[1:-1])}
        self.pixels = random.integers(0, 256, (SAMPLES, SIZES[0]))
        self.labels = random.integers(0, SIZES[-1], SAMPLES)

    def find_logits(self, gates):
        x = (torch.from_numpy(self.pixels / 255.0) - MEAN) / STD
        for i, linear in enumerate(self.maps):
            x = linear(x if i == 0 else torch.tanh(x) * gates[f"hidden.{i - 1}"])
        return x, torch.from_numpy(self.labels)

    def find_saved(self, site):
        i = int(site.split(".")[1])
        return SIZES[i] + SIZES[i + 2]


class Transformer:
    def __init__(self):
        self.model = load(HERE.parent / "transformers/gpt2-f32").double()
        with h5py.File(HERE.parent / "training/tokens.h5") as file:
            self.tokens, self.lengths = file["tokens"][:].astype(np.int64), file["lengths"][:]
        self.heads, blocks = self.model.config.n_head, self.model.transformer.h
        linear = {f"h.{i}.{name}": module for i, block in enumerate(blocks)
                  for name, module in block.named_modules() if type(module).__name__ == "Conv1D"}
        self.matrices = {f"{name}.weight": module.weight for name, module in linear.items()}
        self.blocks, self.sites = blocks, {}
        for i, block in enumerate(blocks):
            self.sites |= {f"attention.{i}": self.heads, f"ffn.{i}": block.mlp.c_proj.weight.shape[0]}

    def find_logits(self, gates):
        hooks = []
        for i, block in enumerate(self.blocks):
            for name, module in ((f"attention.{i}", block.attn.c_proj), (f"ffn.{i}", block.mlp.c_proj)):
                hooks.append(module.register_forward_pre_hook(
                    lambda _, x, gate=gates[name]: (x[0] * gate.repeat_interleave(x[0].shape[-1] // len(gate)),)))
        there = np.arange(self.tokens.shape[1]) < self.lengths[:, None]
        logits = self.model(input_ids=torch.from_numpy(self.tokens),
                            attention_mask=torch.from_numpy(there.astype(np.int64))).logits
        for hook in hooks:
            hook.remove()
        wanted = torch.from_numpy(there[:, 1:])
        return logits[:, :-1][wanted], torch.from_numpy(self.tokens[:, 1:])[wanted]

    def find_saved(self, site):
        block = self.blocks[int(site.split(".")[1])]
        if site.startswith("ffn"):
            return 2 * block.mlp.c_fc.weight.shape[0]
        return 4 * block.attn.c_proj.weight.shape[0] * (block.attn.c_proj.weight.shape[0] // self.heads)


def make_gates(net, masks=None):
    return {name: torch.tensor((masks or {}).get(name, np.ones(n)), dtype=torch.float64, requires_grad=True)
            for name, n in net.sites.items()}


def find_loss(net, gates, temperature=1.0):
    logits, wanted = net.find_logits(gates)
    return temperature * F.cross_entropy(logits / temperature, wanted)


def to_arrays(names, tensors):
    return {name: tensor.detach().numpy() for name, tensor in zip(names, tensors)}


def differentiate(net):
    """Gradients by weight and by gate."""
    gates = make_gates(net)
    found = torch.autograd.grad(find_loss(net, gates), [*net.matrices.values(), *gates.values()])
    return to_arrays([*net.matrices, *gates], found)


def score_snip(net):
    g = differentiate(net)
    return ({name: np.abs(weight.detach().numpy() * g[name]) for name, weight in net.matrices.items()},
            {name: np.abs(g[name]) for name in net.sites})


def score_3sp(net):
    return None, {name: scores / net.find_saved(name) for name, scores in score_snip(net)[1].items()}


def find_readers(net, site):
    """The matrix that reads a site's units, as (units, everything else)."""
    i = int(site.split(".")[1])
    if isinstance(net, Perceptron):
        return f"layers.{i + 1}.weight", lambda values: values.T
    name = "attn" if site.startswith("attention") else "mlp"
    return f"h.{i}.{name}.c_proj.weight", lambda values: values.reshape(net.sites[site], -1)


def score_grasp(net):
    """w H g, and by unit |dF/dm| of half the squared norm of the gradient of effective weights."""
    weights = list(net.matrices.values())
    g = torch.autograd.grad(find_loss(net, make_gates(net), TEMPERATURE), weights, create_graph=True)
    flow = sum((part**2).sum() for part in g) / 2
    scores = {name: weight.detach().numpy() * product.numpy()
              for (name, weight), product in zip(net.matrices.items(), torch.autograd.grad(flow, weights))}
    units = {}
    for site in net.sites:
        name, turn = find_readers(net, site)
        units[site] = np.abs(turn(scores[name]).sum(1))
    return scores, units


def score_synflow(net):
    """In parts of R."""
    weights = [weight.detach().abs().requires_grad_() for weight in net.matrices.values()]
    gates = make_gates(net)
    x = torch.ones(SIZES[0], dtype=torch.float64)
    for i, weight in enumerate(weights):
        x = weight @ (x if i == 0 else x * gates[f"hidden.{i - 1}"])
    found = torch.autograd.grad(x.sum() / x.sum().item(), [*weights, *gates.values()])
    scores = to_arrays([*net.matrices, *gates], found)
    return ({name: scores[name] * weight.detach().numpy() for name, weight in zip(net.matrices, weights)},
            {name: scores[name] for name in net.sites})


def cut(scores, live, keep):
    """The best of those that live, in float32, of equal ones the first; the threshold, and the gap there in parts of the
    largest score."""
    flat = np.concatenate([np.where(live[name] > 0, values, -np.inf).flatten() for name, values in scores.items()])
    order = np.argsort(-flat.astype(np.float32), kind="stable")
    last, first = flat[order[keep - 1]], flat[order[keep]]
    marks, masks = np.zeros(len(flat), int), {}
    marks[order[:keep]] = 1
    for name, values in scores.items():
        masks[name], marks = marks[:values.size].reshape(values.shape), marks[values.size:]
    return masks, (last + first) / 2, (last - first) / np.abs(flat[np.isfinite(flat)]).max()


def prune(net, score, sparsity, rounds):
    """Masks of weights, the last threshold, and the least gap of all rounds."""
    before = {name: weight.detach().clone() for name, weight in net.matrices.items()}
    live, least = {name: np.ones(weight.shape) for name, weight in before.items()}, 1.0
    n = sum(weight.numel() for weight in before.values())
    for k in range(1, rounds + 1):
        part = (1 - sparsity) ** (k / rounds)
        live, threshold, gap = cut(score(net)[0], live, int(np.floor(part * n + 0.5)))
        least = min(least, gap)
        for name, weight in net.matrices.items():
            weight.data = before[name] * torch.from_numpy(live[name])
    for name, weight in net.matrices.items():
        weight.data = before[name]
    return live, threshold, least


def shorten(values):
    return [float(f"{value:.9g}") for value in np.asarray(values).flatten()]


def write_mask(mask):
    return "".join(map(str, mask.flatten()))


def choose(net, score, rounds):
    """The sparsity without near ties."""
    found = [(prune(net, score, sparsity, rounds), sparsity) for sparsity in np.arange(60, 80) / 100]
    (masks, _, gap), sparsity = max(found, key=lambda row: row[0][2])
    return {"rounds": rounds, "sparsity": sparsity, "gap": gap,
            "masks": {name: write_mask(mask) for name, mask in masks.items()}}


def describe_perceptron(net):
    cases = []
    for policy, score, rounds in (("snip", score_snip, [1, 5]), ("grasp", score_grasp, [1]), ("3sp", score_3sp, []),
                                  ("synflow", score_synflow, [1, 100])):
        weights, units = score(net)
        row = {"policy": policy, "units": {name: shorten(values) for name, values in units.items()}}
        if weights:
            row["weights"] = {name: shorten(values) for name, values in weights.items()}
        row["cuts"] = [choose(net, score, n) for n in rounds]
        print("perceptron", policy, [(f["rounds"], f["sparsity"], f"{f['gap']:.1e}") for f in row["cuts"]])
        cases.append(row)
    values = {f"layers.{i}.{kind}": shorten(getattr(linear, kind).detach().numpy())
              for i, linear in enumerate(net.maps) for kind in ("weight", "bias")}
    return {"sizes": SIZES, "pixels": net.pixels.flatten().tolist(), "labels": net.labels.tolist(), "values": values,
            "cases": cases}


def pick(values):
    values = values.flatten()
    at = [i * len(values) // VALUES + 5 * i % (len(values) // VALUES) for i in range(VALUES)]
    return {"at": at, "scores": shorten(values[at])}


def describe_transformer(net):
    cases = []
    for policy, score in (("snip", score_snip), ("grasp", score_grasp), ("3sp", score_3sp)):
        weights, units = score(net)
        row = {"policy": policy, "units": {name: shorten(values) for name, values in units.items()}}
        if weights:
            masks, threshold, _ = prune(net, score, 0.8, 1)
            row |= {"weights": {name: pick(values) for name, values in weights.items()},
                    "range": max(float(np.abs(values).max()) for values in weights.values()), "sparsity": 0.8,
                    "threshold": threshold,
                    "kept": {name: int(mask.sum()) for name, mask in masks.items()},
                    "masks": {name: np.packbits(mask.flatten()).tobytes().hex() for name, mask in masks.items()}}
        cases.append(row)
    return cases


def main():
    torch.set_num_threads(1)
    found = {"perceptron": describe_perceptron(Perceptron(np.random.default_rng(6))),
             "transformer": describe_transformer(Transformer())}
    (HERE / "reference.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
