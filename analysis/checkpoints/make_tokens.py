#!/usr/bin/env python3
"""Cut the texts of fetch_text.sh into token files for a language model and for a sentence encoder.

    make_tokens.py TEXTS MODEL_DIR OUT [--length 512] [--held-out 32]      language model
    make_tokens.py TEXTS MODEL_DIR OUT --lines [--length 64]              sentence encoder

A language model gets OUT/heldout-novel.h5 (windows spread over the last quarter of Moby Dick), OUT/heldout-technical.h5
(descriptions of a quarter of the packages), and OUT/calibration-16k.h5 and -128k.h5: 16,384 and 131,072 tokens of the
rest of both texts, half and half. An encoder gets OUT/sentences.h5: 256 short descriptions between special tokens.
"""
import argparse
import random
import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))
from tokenize_text import cut_windows, pad_lines, write_tokens  # noqa: E402

HELD_OUT_FRACTION = 0.25
SENTENCES = 256


def read_novel(folder):
    """Return (calibration, held-out) without the publisher's preamble and licence."""
    text = (folder / "mobydick.txt").read_text(encoding="utf-8-sig")
    text = text[text.index("CHAPTER 1. Loomings."):text.index("End of Project Gutenberg")]
    cut = int(len(text) * (1 - HELD_OUT_FRACTION))
    return text[:cut], text[cut:]


def read_packages(folder, seed=0):
    """Return (calibration, held-out) descriptions of different packages, shuffled, none twice."""
    blocks = sorted(set((folder / "descriptions.txt").read_text(encoding="utf-8").split("\n\n")))
    blocks = [block.strip() for block in blocks if len(block) > 200]
    random.Random(seed).shuffle(blocks)
    cut = int(len(blocks) * (1 - HELD_OUT_FRACTION))
    return blocks[:cut], blocks[cut:]


def take_windows(tokenizer, text, length, count):
    """Return (count, length): windows spread evenly over the text."""
    windows = cut_windows(tokenizer.encode(text, add_special_tokens=False).ids, length)
    if len(windows) < count:
        sys.exit(f"expected text for {count} windows of {length} tokens, found {len(windows)}")
    return windows[np.arange(count) * len(windows) // count]


def make_windows(tokenizer, options):
    novel, packages = read_novel(options.texts), read_packages(options.texts)
    technical = ["\n\n".join(blocks[:4000]) for blocks in packages]
    cut = lambda text, count: take_windows(tokenizer, text, options.length, count)
    write_tokens(options.out / "heldout-novel.h5", cut(novel[1], options.held_out))
    write_tokens(options.out / "heldout-technical.h5", cut(technical[1], options.held_out))
    for name, tokens in (("16k", 1 << 14), ("128k", 1 << 17)):
        half = tokens // options.length // 2
        both = [cut(text, half) for text in (novel[0], technical[0])]
        write_tokens(options.out / f"calibration-{name}.h5", np.concatenate(both))


def make_sentences(tokenizer, options):
    lines = [block.split("\n")[0] for block in read_packages(options.texts)[1][:SENTENCES]]
    write_tokens(options.out / "sentences.h5",
                 *pad_lines([e.ids for e in tokenizer.encode_batch(lines)], options.length, 0))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    parser.add_argument("model", type=Path, help="folder with tokenizer.json")
    parser.add_argument("out", type=Path)
    parser.add_argument("--length", type=int, help="tokens a sequence (default 512, with --lines 64)")
    parser.add_argument("--held-out", type=int, default=32, help="windows in each held-out file (default 32)")
    parser.add_argument("--lines", action="store_true")
    options = parser.parse_args()
    options.length = options.length or (64 if options.lines else 512)
    options.out.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(options.model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    (make_sentences if options.lines else make_windows)(tokenizer, options)


main()
