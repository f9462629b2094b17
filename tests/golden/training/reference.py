#!/usr/bin/env python3
"""Write reference.json and the token files for tests/mpi/train/golden.c: what PyTorch makes of training runs.

    OMP_NUM_THREADS=1 python3 reference.py

Every case is a checkpoint of ../transformers, maybe a teacher, and options. Of 20 steps with PyTorch's own optimisers, in
float32, it has the loss and the norm of the gradient before clipping; of the first step the largest update of every
weight, and some updates. AdamW's first update is rate g / (|g| + 1e-8), which has no digits where g is rounding alone:
its updates are taken where |g| is at least 1e-3 of the weight's largest (and where it is exactly 0), and weights whose
whole gradient is rounding (keys' biases) are left out. Of SGD they are taken anywhere, with the norm over the weight.
"""
import copy
import json
import math
import sys
from fnmatch import fnmatch
from pathlib import Path

import h5py
import numpy as np
import torch
import torch.nn.functional as F

import draws

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "analysis/models"))
from make_reference import load  # noqa: E402

STEPS, COUNT, LENGTH, VALUES = 20, 22, 12, 8
COMMON = {"seed": 5, "steps": STEPS, "batch": 8, "micro_batch": 3, "momentum": 0.9, "weight_decay": 0.1, "warmup": 0.2,
          "temperature": 1.0, "mix": 0.0, "clip": 0.0, "schedule": "cosine", "trainable": "all", "mask_rate": 0.3,
          "mask_token": 4, "vocabulary": 61, "special": [0, 1, 2]}
TAUGHT = {"temperature": 2.0, "mix": 0.3}
ADAMW, SGD = {"optimizer": "adamw", "rate": 0.02}, {"optimizer": "sgd", "rate": 0.4, "weight_decay": 0.02}
CASES = [
    ("llama-mha-f32", None, {**ADAMW, "clip": 0.5}),
    ("llama-mha-f32", "qwen3-f32", {**SGD, **TAUGHT, "clip": 0.5, "schedule": "linear"}),
    ("llama-mha-f32", None, {**ADAMW, "trainable": "norms", "schedule": "linear"}),
    ("qwen3-f32", "llama-mha-f32", {**ADAMW, **TAUGHT, "schedule": "inverse-sqrt"}),
    ("qwen3-f32", None, {**SGD, "clip": 0.5, "schedule": "constant"}),
    ("qwen3-f32", "gpt2-f32", {**SGD, "temperature": 0.5, "trainable": "*.down_proj.weight, *layers.1.*norm*"}),
    ("gpt2-f32", None, {**ADAMW, "schedule": "constant", "warmup": 0.0}),
    ("gpt2-f32", "llama-mha-f32", {**SGD, **TAUGHT, "clip": 0.3, "schedule": "inverse-sqrt"}),
    ("gpt2-f32", None, {**SGD, "trainable": "writers", "clip": 0.5}),
    ("bert-mlm-hub-f32", None, {**ADAMW, "schedule": "linear"}),
    ("bert-mlm-hub-f32", "bert-mlm-untied-bf16", {**SGD, **TAUGHT, "clip": 0.3}),
    ("bert-classifier-f32", None, {**ADAMW, "rate": 0.005, "clip": 0.3, "trainable": "blocks"}),
    ("bert-classifier-f32", "bert-classifier-f32", {**SGD, **TAUGHT, "rate": 0.1, "schedule": "linear"}),
    ("bert-encoder-pooler-f32", "bert-encoder-bf16", ADAMW),
    ("bert-encoder-pooler-f32", "bert-encoder-bf16", {**SGD, "trainable": "blocks", "clip": 0.1, "warmup": 0.0}),
]
SETS = {"all": ["*"], "blocks": ["*.layers.*", "*.h.*", "*.layer.*"],
        "writers": ["*.o_proj.*", "*.down_proj.*", "*.c_proj.*", "*.output.dense.*"]}


def make_data(has_types):
    random = np.random.default_rng(3)
    data = {"tokens": random.integers(0, 61, (COUNT, LENGTH)), "lengths": random.integers(2, LENGTH + 1, COUNT),
            "labels": random.integers(0, 3, COUNT), "token_types": random.integers(0, 2, (COUNT, LENGTH))}
    data["lengths"][[4, 9]] = LENGTH, 1
    if not has_types:
        del data["token_types"]
    return {name: values.astype(np.int32) for name, values in data.items()}


def write_data(data, name):
    with h5py.File(HERE / name, "w") as file:
        for key, values in data.items():
            file[key] = values


def compute_rate(options, step):
    """In the middle of the step: linear warm-up, then the schedule."""
    warm, at = options["warmup"] * STEPS, step + 0.5
    if at < warm:
        return options["rate"] * at / warm
    part = (at - warm) / (STEPS - warm)
    return options["rate"] * {"cosine": 0.5 * (1 + math.cos(math.pi * part)), "linear": 1 - part, "constant": 1.0,
                              "inverse-sqrt": 1 / math.sqrt(max(at / max(warm, 1.0), 1.0))}[options["schedule"]]


def trains(options, name, weight):
    if options["trainable"] == "norms":
        return weight.ndim == 1
    patterns = SETS.get(options["trainable"], options["trainable"].split(", "))
    return any(fnmatch("." + name, pattern) for pattern in patterns)


def run(model, data, samples, seen):
    """Logits, or states, and which tokens there are."""
    there = torch.from_numpy(np.arange(LENGTH) < data["lengths"][samples, None])
    arguments = {"input_ids": torch.tensor(seen), "attention_mask": there.to(torch.int64)}
    if "token_types" in data:
        arguments["token_type_ids"] = torch.from_numpy(data["token_types"][samples].astype(np.int64))
    output = model(**arguments)
    return output.logits if "logits" in output else output.last_hidden_state, there


def choose_rows(task, outputs, labels, targets, data, samples, tokens):
    """Rows of outputs that predict something, and what they should."""
    if task == "classify":
        return outputs, labels
    wanted = torch.tensor(targets)
    if task == "language":
        wanted = torch.full((len(samples), LENGTH), -1)
        for row, sample in enumerate(samples):
            n = data["lengths"][sample] - 1
            wanted[row, :n] = torch.from_numpy(tokens[row, 1:n + 1].astype(np.int64))
    return outputs[wanted >= 0], wanted[wanted >= 0]


def mix_losses(logits, taught, labels, options):
    plain = F.cross_entropy(logits, labels, reduction="sum")
    if taught is None:
        return plain
    hot = options["temperature"]
    told = F.kl_div(F.log_softmax(logits / hot, -1), F.log_softmax(taught / hot, -1), reduction="sum", log_target=True)
    return (1 - options["mix"]) * hot**2 * told + options["mix"] * plain


def compute_loss(models, data, samples, options, epoch):
    """Summed loss of a micro-batch, and its targets."""
    task, (model, teacher) = options["task"], models
    tokens = data["tokens"][samples]
    seen, targets = tokens.astype(np.int64), np.full(tokens.shape, -1)
    for row, sample in enumerate(samples if task == "masked" else []):
        n = data["lengths"][sample]
        seen[row, :n], targets[row, :n] = draws.mask(list(tokens[row, :n]), sample * LENGTH, options, epoch)
    outputs, there = run(model, data, samples, seen)
    with torch.no_grad():
        taught = None if teacher is None else run(teacher, data, samples, seen)[0]
    if task == "embed":
        parts = [(values * there[:, :, None]).sum(1) / there.sum(1, keepdim=True) for values in (outputs, taught)]
        return (1 - F.cosine_similarity(*parts)).sum(), len(samples)
    labels = torch.from_numpy(data["labels"][samples].astype(np.int64))
    rows, wanted = choose_rows(task, outputs, labels, targets, data, samples, tokens)
    if taught is not None:
        taught = choose_rows(task, taught, labels, targets, data, samples, tokens)[0]
    return mix_losses(rows, taught, wanted, options), len(wanted)


def backward(models, data, samples, options, epoch):
    """Gradients of a step's mean loss, micro-batch by micro-batch; the loss."""
    n, micro, total, count = len(samples), options["micro_batch"], 0.0, 0
    for begin in range(0, n, micro):
        loss, targets = compute_loss(models, data, samples[begin:begin + micro], options, epoch)
        loss.backward()
        total, count = total + loss.item(), count + targets
    for weight in models[0].parameters():
        if weight.grad is not None:
            weight.grad /= count
    return total / count


def make_optimizer(options, weights):
    """Decay of matrices alone; of SGD by hand."""
    if options["optimizer"] == "sgd":
        return torch.optim.SGD(weights, lr=0.0, momentum=options["momentum"])
    groups = [{"params": [w for w in weights if w.ndim > 1], "weight_decay": options["weight_decay"]},
              {"params": [w for w in weights if w.ndim == 1], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=(options["momentum"], 0.999), eps=1e-8)


def update(optimizer, options, rate):
    for group in optimizer.param_groups:
        group["lr"] = rate
        for weight in group["params"]:
            if options["optimizer"] == "sgd" and weight.ndim > 1:
                weight.data *= 1 - rate * options["weight_decay"]
    optimizer.step()


def shorten(values):
    return [float(f"{value:.8g}") for value in values]


def pick(options, moved, gradient, largest):
    """Some updates of a weight."""
    moved, size = moved.flatten().numpy(), np.abs(gradient.flatten().numpy())
    if options["optimizer"] == "sgd":
        at = [i * len(moved) // VALUES for i in range(VALUES)]
        extra = {"norm": float(f"{np.linalg.norm(moved.astype(np.float64)):.8g}")}
    else:
        if size.max() < 1e-6 * largest:
            return None
        able = np.flatnonzero(size >= 1e-3 * size.max())
        at, extra = [int(able[i * len(able) // VALUES]) for i in range(VALUES)], {}
        at += [int(i) for i in np.flatnonzero(size == 0)[:1]]
    return {"range": float(f"{np.abs(moved).max():.8g}"), "at": at, "update": shorten(moved[at]), **extra}


def get_task(model):
    kind = type(model).__name__
    return {"BertForMaskedLM": "masked", "BertForSequenceClassification": "classify", "BertModel": "embed"}.get(kind, "language")


def prepare(model, options):
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            module.padding_idx = None  # PyTorch would leave out its gradient
    for name, weight in model.named_parameters():
        weight.requires_grad_(trains(options, name, weight))
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def train(name, teacher, given):
    options = {**COMMON, **given}
    models = load(HERE.parent / "transformers" / name), load(HERE.parent / "transformers" / teacher) if teacher else None
    options["task"] = get_task(models[0])
    weights = prepare(models[0], options)
    data = make_data(models[0].config.model_type == "bert")
    optimizer, per_epoch = make_optimizer(options, list(weights.values())), -(-COUNT // options["batch"])
    losses, norms, first = [], [], {}
    prefix = "bert." if type(models[0]).__name__ == "BertModel" else ""
    for step in range(STEPS):
        epoch, begin = step // per_epoch, step % per_epoch * options["batch"]
        samples = draws.permute(options["seed"], epoch, COUNT)[begin:begin + options["batch"]]
        losses.append(backward(models, data, samples, options, epoch))
        reached = {key: weight for key, weight in weights.items() if weight.grad is not None}
        norms.append(float(torch.nn.utils.clip_grad_norm_(reached.values(), options["clip"] or math.inf)))
        if step == 0:
            before = {key: copy.deepcopy(weight.data) for key, weight in reached.items()}
            largest = max(float(weight.grad.abs().max()) for weight in reached.values())
        gradients = {key: weight.grad.clone() for key, weight in reached.items()} if step == 0 else None
        update(optimizer, options, compute_rate(options, step))
        if step == 0:
            first = {prefix + key: pick(options, weight.data - before[key], gradients[key], largest)
                     for key, weight in reached.items()}
        optimizer.zero_grad()
    assert options["clip"] == 0 or sum(norm > options["clip"] for norm in norms) > STEPS / 2, norms
    print(name, teacher, options["optimizer"], f"{losses[0]:.4f} -> {losses[-1]:.4f}, norms {norms[0]:.3g} to {norms[-1]:.3g}")
    return {"model": name, "teacher": teacher, "options": options, "losses": shorten(losses), "norms": shorten(norms),
            "first": {key: value for key, value in first.items() if value}, "n_reached": len(first)}


def main():
    torch.set_num_threads(1)
    write_data(make_data(False), "tokens.h5")
    write_data(make_data(True), "token_types.h5")
    lines = [json.dumps(train(*case), separators=(",", ":")) for case in CASES]
    (HERE / "reference.json").write_text("[" + ",\n".join(lines) + "]\n")


if __name__ == "__main__":
    main()
