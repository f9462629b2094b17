#!/usr/bin/env python3
"""Compare espalier with transformers on the same model and the same tokens.

    compare.py --program PATH FOLDER TOKENS.h5 [--model PRUNED.h5] [--sequences N] [--ranks N]

Opens FOLDER in transformers (float32, eager attention; load_pruned.py where config.json has sizes that the class cannot
express) and runs `espalier eval --logits --json` on it, or on --model, e.g. the file that FOLDER was exported from.
Prints the largest difference of the logits or embeddings relative to their range, padding left out, and both
perplexities or accuracies. Needs torch, transformers, safetensors, h5py.
"""
import argparse
import json
import math
import subprocess
import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch

from load_pruned import load_pruned


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("tokens")
    parser.add_argument("--program", required=True)
    parser.add_argument("--model")
    parser.add_argument("--sequences", type=int, help="default: all")
    parser.add_argument("--ranks", default="1")
    parser.add_argument("--batch", type=int, default=4)
    return parser.parse_args()


def read_tokens(path, count):
    with h5py.File(path) as file:
        tokens = file["tokens"][:count].astype(np.int64)
        lengths = file["lengths"][:count] if "lengths" in file else np.full(len(tokens), tokens.shape[1])
        labels = file["labels"][:count] if "labels" in file else None
    return tokens, lengths, labels


def run_transformers(folder, tokens, lengths, batch):
    """Return (logits or embeddings, whether every tensor came through from_pretrained alone)."""
    model, is_plain = load_pruned(folder)
    outputs = []
    with torch.no_grad():
        for first in range(0, len(tokens), batch):
            part = slice(first, first + batch)
            mask = np.arange(tokens.shape[1]) < lengths[part, None]
            output = model(input_ids=torch.from_numpy(tokens[part]), attention_mask=torch.from_numpy(mask.astype(int)))
            outputs.append((output.logits if "logits" in output else output.last_hidden_state).numpy())
    return np.concatenate(outputs), is_plain


def run_espalier(options, tokens, lengths, labels):
    """Return (logits or embeddings, row of the JSON result) for just these tokens."""
    with tempfile.TemporaryDirectory() as scratch:
        data, logits, result = (str(Path(scratch) / name) for name in ("tokens.h5", "logits.h5", "result.json"))
        with h5py.File(data, "w", libver="earliest") as file:
            for name, values in (("tokens", tokens), ("lengths", lengths), ("labels", labels)):
                if values is not None:
                    file.create_dataset(name, data=np.asarray(values, np.int32))
        subprocess.run(["mpirun", "-n", options.ranks, options.program, "eval", options.model or options.folder,
                        "--data", data, "--no-speed", "--logits", logits, "--json", result, "-q"],
                       check=True, stdout=subprocess.DEVNULL)
        with h5py.File(logits) as file:
            return next(iter(file.values()))[()], json.loads(Path(result).read_text())["results"][0]


def compute_perplexity(logits, tokens, lengths):
    """exp of the mean negative log-likelihood of every token but the first, in double precision."""
    total = count = 0
    for z, ids, size in zip(logits, tokens, lengths):
        z = torch.from_numpy(z[:size - 1]).double()
        total -= torch.log_softmax(z, -1)[torch.arange(size - 1), torch.from_numpy(ids[1:size])].sum().item()
        count += size - 1
    return math.exp(total / count)


def print_quality(row, expected, tokens, lengths, labels):
    if "perplexity" in row:
        reference = compute_perplexity(expected, tokens, lengths)
        print(f"perplexity: espalier {row['perplexity']:.6f}, transformers {reference:.6f}, "
              f"relative difference {abs(row['perplexity'] / reference - 1):.1e}")
    if "accuracy" in row:
        print(f"accuracy: espalier {row['accuracy']:.6f}, transformers {np.mean(expected.argmax(1) == labels):.6f}")


def main():
    options = parse_arguments()
    tokens, lengths, labels = read_tokens(options.tokens, options.sequences)
    expected, is_plain = run_transformers(options.folder, tokens, lengths, options.batch)
    found, row = run_espalier(options, tokens, lengths, labels)
    if found.ndim == 3:
        valid = np.arange(tokens.shape[1]) < lengths[:, None]
        difference, extent = np.abs(found - expected)[valid].max(), np.ptp(expected[valid])
    else:
        difference, extent = np.abs(found - expected).max(), np.ptp(expected)
    how = "no custom code" if is_plain else "load_pruned.py"
    print(f"{options.folder}: {len(tokens)} x {tokens.shape[1]} tokens, transformers with {how}")
    print(f"largest difference {difference:.2e}, range {extent:.3f}, relative {difference / extent:.1e}")
    print_quality(row, expected, tokens, lengths, labels)


main()
