#!/usr/bin/env python3
"""Write targets.json for tests/mpi/eval/targets.c: losses, scores and gradients of labels that are numbers.

    python3 targets.py > targets.json

{checkpoint: {labels: [...] in C order, loss, score, gradients: {weight: [largest modulus, values...]}}}: the loss is that of
transformers (a mean); the score is R2, or the micro-averaged F1; values are those at i * count / 8 of a flattened gradient.
"""
import json
from pathlib import Path

import h5py
import numpy as np
import torch

from gradients import HERE, load, make_arguments, pick

LABELS = {"bert-regression-f32": [[0.25], [-1.5], [2.0]], "bert-multi-label-bf16": [[1, 0, 1], [0, 1, 1], [1, 1, 0]]}
WEIGHTS = "classifier.weight", "classifier.bias", "bert.pooler.dense.weight", "bert.encoder.layer.0.output.dense.weight"


def score(labels, outputs):
    if labels.shape[1] == 1:
        return float(1 - ((outputs - labels) ** 2).mean() / labels.var())
    found, present = outputs > 0, labels > 0
    return float(2 * (found & present).sum() / (found.sum() + present.sum()))


def compute(name, labels):
    folder = Path(HERE) / name
    with h5py.File(folder / "reference.h5") as file:
        data = {key: values[()] for key, values in file.items() if key in ("tokens", "lengths", "token_types")}
    model = load(folder)
    model.requires_grad_(True)
    arguments, _ = make_arguments(data)
    output = model(**arguments, labels=torch.tensor(labels, dtype=torch.float32))
    output.loss.backward()
    parameters = dict(model.named_parameters())
    return dict(labels=np.ravel(labels).tolist(), loss=output.loss.item(),
                score=score(np.array(labels, dtype=np.float64), output.logits.detach().numpy().astype(np.float64)),
                gradients={weight: pick(parameters[weight].grad) for weight in WEIGHTS})


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("{" + ",\n".join(f"{json.dumps(name)}: {json.dumps(compute(name, labels))}" for name, labels in LABELS.items()) + "}")
