#!/usr/bin/env python3
"""Write what the reference, PyPI `tokenizers`, makes of the difficult strings.

    make_expected.py                  strings.bin.gz, and expected/NAME.bin for tokenizers/NAME.json and those of tests/models
    make_expected.py FILE.json OUT    the same for a tokenizer that is not in the repository
    make_expected.py FILE.json OUT TEXT...    for whole files, which go to OUT.strings.gz

strings.bin.gz: for each string its length (u32) and its bytes. expected: for each string, u32 each: number of ids; CRC-32 of
them (int32, little endian); number with special tokens; CRC-32 of these; CRC-32 of the text that the ids decode to. Bytes that are no
UTF-8 are U+FFFD, as Python decodes with errors="replace".
"""
import gzip
import struct
import sys
import zlib
from pathlib import Path

from strings import strings
from tokenizers import Tokenizer

HERE = Path(__file__).parent
MODELS = HERE.parent.parent / "models"


def checksum(ids):
    return zlib.crc32(struct.pack(f"<{len(ids)}i", *ids))


def expect(tokenizer, text):
    plain = tokenizer.encode(text, add_special_tokens=False).ids
    special = tokenizer.encode(text).ids
    back = tokenizer.decode(plain, skip_special_tokens=True) if plain else ""
    return struct.pack("<5I", len(plain), checksum(plain), len(special), checksum(special), zlib.crc32(back.encode()))


def write_expected(source, target, texts):
    tokenizer = Tokenizer.from_file(str(source))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    target.write_bytes(b"".join(expect(tokenizer, text.decode(errors="replace")) for text in texts))


def write_strings(target, texts):
    whole = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    target.write_bytes(gzip.compress(whole, mtime=0))


def main():
    texts = strings()
    if len(sys.argv) > 2:
        if len(sys.argv) > 3:
            texts = [Path(name).read_bytes() for name in sys.argv[3:]]
            write_strings(Path(sys.argv[2] + ".strings.gz"), texts)
        write_expected(sys.argv[1], Path(sys.argv[2]), texts)
        return
    write_strings(HERE / "strings.bin.gz", texts)
    (HERE / "expected").mkdir(exist_ok=True)
    for source in sorted((HERE / "tokenizers").glob("*.json")):
        write_expected(source, HERE / "expected" / f"{source.stem}.bin", texts)
    for name in ("bert", "llama"):
        write_expected(MODELS / name / "tokenizer.json", HERE / "expected" / f"models_{name}.bin", texts)


main()
