#!/usr/bin/env python3
"""Throughput of the program's tokenizer and of the reference's, PyPI `tokenizers`, on one core.

    compare.py BENCH_TEXT TEXT TOKENIZER.json...

BENCH_TEXT is the program of encode.c; TEXT is repeated to 10 MB. Both get the whole text at once. CPU seconds of the fastest of
three passes, each with a tokenizer that has seen nothing; ids are compared. One line a tokenizer.
"""
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer  # noqa: E402: the threads are chosen before

BYTES = 10_000_000


def time_reference(name, text):
    best = None
    for _ in range(3):
        tokenizer = Tokenizer.from_file(name)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        begin = time.process_time()
        count = len(tokenizer.encode(text, add_special_tokens=False).ids)
        seconds = time.process_time() - begin
        best = seconds if best is None else min(best, seconds)
    return count, best


def main():
    program, source, *names = sys.argv[1:]
    text = Path(source).read_text(encoding="utf-8")
    text = (text * (BYTES // len(text.encode()) + 1)).encode()[:BYTES].decode(errors="ignore")
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        print(f"{'tokenizer':32s} {'tokens':>9s} {'reference MB/s':>15s} {'espalier MB/s':>15s} {'ratio':>6s}")
        for name in names:
            line = subprocess.run([program, name, file.name], check=True, capture_output=True, text=True).stdout.split()
            count, seconds = time_reference(name, text)
            assert count == int(line[1]), f"{name}: {count} tokens, and {line[1]}"
            megabytes = int(line[0]) / 1e6
            print(f"{'/'.join(Path(name).parts[-2:]):32s} {count:9d} {megabytes / seconds:15.2f} {megabytes / float(line[2]):15.2f} "
                  f"{seconds / float(line[2]):6.1f}")


main()
