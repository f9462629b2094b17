#!/usr/bin/env python3
"""Write more of the text that a small model of tests/models was trained on, as a token file; nothing of its heldout.h5.

    fetch_data.sh DATA;  more_text.py llama|gpt2|bert DATA -o TOKENS.h5 [--samples N]    text, evenly spread
                         more_text.py llama|gpt2 DATA -o TOKENS.h5 --steps N [--seed S]  what N steps of train.py read

With --steps, rows are in the order of train.py's batches of 16 windows. Needs h5py, NumPy, rdata, tokenizers.
"""
import argparse
from pathlib import Path

import h5py
import numpy as np
from tokenizers import Tokenizer

import corpus
from tokenize_text import cut_windows, pad_lines, write_tokens

MODELS = Path(__file__).resolve().parents[2] / "tests/models"
CONTEXT, LINE_LENGTH, BATCH = 128, 48, 16


def read_tokenizer(model):
    tokenizer = Tokenizer.from_file(str(MODELS / model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def encode_novels(options):
    tokenizer = read_tokenizer(options.model)
    return np.concatenate([[0] + tokenizer.encode(text).ids for text in corpus.split_novels(options.data)[0]])


def draw_windows(ids, options):
    """The windows of every step, drawn as train.py draws them."""
    random = np.random.default_rng(options.seed)
    starts = np.concatenate([random.integers(0, len(ids) - CONTEXT, BATCH) for _ in range(options.steps)])
    return np.stack([ids[s:s + CONTEXT] for s in starts])


def spread(count, options):
    wanted = min(options.samples or count, count)
    return np.arange(wanted) * count // wanted


def write_novels(options):
    ids = encode_novels(options)
    windows = draw_windows(ids, options) if options.steps else cut_windows(ids, CONTEXT)
    write_tokens(options.output, windows if options.steps else windows[spread(len(windows), options)])


def write_descriptions(options):
    pairs, names = corpus.read_descriptions(options.data)
    tokens, lengths = pad_lines([e.ids for e in read_tokenizer("bert").encode_batch([text for text, _ in pairs])],
                                LINE_LENGTH, 0)
    with h5py.File(MODELS / "bert/heldout.h5") as file:
        held = {row.tobytes() for row in file["tokens"][:]}
    rows = np.array([i for i, row in enumerate(tokens) if row.tobytes() not in held])
    rows = rows[spread(len(rows), options)]
    write_tokens(options.output, tokens[rows], lengths[rows], np.array([label for _, label in pairs])[rows])
    print(", ".join(names))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["llama", "gpt2", "bert"])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write_descriptions(options) if options.model == "bert" else write_novels(options)


if __name__ == "__main__":
    main()
