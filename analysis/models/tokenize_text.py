#!/usr/bin/env python3
"""Make a token file (HDF5) for Espalier from text, with a Hugging Face tokenizer.

    tokenize_text.py MODEL_DIR TEXT... -o TOKENS.h5 --length 128             windows of running text
    tokenize_text.py MODEL_DIR LINES... -o TOKENS.h5 --length 128 --lines    one padded sequence a line
    tokenize_text.py MODEL_DIR LINES... -o TOKENS.h5 --length 128 --labels   the same, each line LABEL<tab>TEXT

Writes /tokens (N, T) int32; for lines also /lengths (N) int32, and /labels (N) int32. Special tokens are
your choice: --special asks the tokenizer for its own (around each line, or around the whole text), --first
ID puts one token at the start of every window or line (a Llama's <s>). Needs tokenizers, h5py, NumPy.
"""
import argparse
from pathlib import Path

import h5py
import numpy as np
from tokenizers import Tokenizer


def cut_windows(ids, length, first=None):
    """Return (N, length): the running text in non-overlapping windows; an incomplete last one is dropped."""
    step = length - (first is not None)
    count = len(ids) // step
    windows = np.asarray(ids[:count * step], np.int32).reshape(count, step)
    return windows if first is None else np.insert(windows, 0, first, axis=1)


def pad_lines(lines, length, pad):
    """Return (tokens (N, length), lengths (N)); a longer line keeps its last token (the separator)."""
    tokens = np.full((len(lines), length), pad, np.int32)
    lengths = np.array([min(len(ids), length) for ids in lines], np.int32)
    for row, ids, size in zip(tokens, lines, lengths):
        row[:size] = ids if len(ids) <= length else ids[:length - 1] + ids[-1:]
    return tokens, lengths


def write_tokens(path, tokens, lengths=None, labels=None):
    """Write contiguous, uncompressed data sets, so that any HDF5 reads them."""
    with h5py.File(path, "w", libver="earliest") as file:
        for name, values in (("tokens", tokens), ("lengths", lengths), ("labels", labels)):
            if values is not None:
                file.create_dataset(name, data=np.asarray(values, np.int32))


def read_lines(paths, labelled):
    lines = [line for path in paths for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    if not labelled:
        return lines, None
    pairs = [line.split("\t", 1) for line in lines]
    return [text for _, text in pairs], [int(label) for label, _ in pairs]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder with tokenizer.json")
    parser.add_argument("text", nargs="+", help="UTF-8 text files")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--length", type=int, default=128, help="tokens a sequence, T (default 128)")
    parser.add_argument("--lines", action="store_true", help="one sequence a line, padded")
    parser.add_argument("--labels", action="store_true", help="lines are LABEL<tab>TEXT")
    parser.add_argument("--special", action="store_true", help="add the tokenizer's special tokens")
    parser.add_argument("--first", type=int, help="token id at the start of every sequence")
    parser.add_argument("--pad", type=int, default=0, help="token id after the end of a line (default 0)")
    parser.add_argument("--limit", type=int, help="at most this many sequences, evenly spread over all")
    return parser.parse_args()


def main():
    options = parse_arguments()
    tokenizer = Tokenizer.from_file(str(Path(options.model) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    lengths = labels = None
    if options.lines or options.labels:
        texts, labels = read_lines(options.text, options.labels)
        encoded = [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=options.special)]
        prefix = [] if options.first is None else [options.first]
        tokens, lengths = pad_lines([prefix + ids for ids in encoded], options.length, options.pad)
    else:
        text = "\n".join(Path(path).read_text(encoding="utf-8") for path in options.text)
        ids = tokenizer.encode(text, add_special_tokens=options.special).ids
        tokens = cut_windows(ids, options.length, options.first)
    count = len(tokens) if options.limit is None else min(options.limit, len(tokens))
    chosen = np.arange(count) * len(tokens) // max(count, 1)
    pick = lambda values: None if values is None else np.asarray(values)[chosen]
    write_tokens(options.output, tokens[chosen], pick(lengths), pick(labels))
    print(f"{options.output}: {count} sequences of {options.length} tokens")


if __name__ == "__main__":
    main()
