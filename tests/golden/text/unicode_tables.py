#!/usr/bin/env python3
"""Write src/text/unicode_tables.c: the classes of characters that the reference, PyPI `tokenizers`, knows.

    unicode_tables.py > src/text/unicode_tables.c

Its punctuation, marks and control characters are those of an older Unicode than its regular expressions', and its
normalisation leaves newer characters as they are. Every code point is asked for; needs tokenizers.
"""
import unicodedata

from tokenizers import normalizers, pre_tokenizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
FRAME = 110


def select(keeps):
    return [c for c in POINTS if keeps(chr(c))]


def find_punctuation():
    split = pre_tokenizers.Punctuation("removed")
    return select(lambda c: split.pre_tokenize_str(c) == [])


def find_nonspacing():
    strip = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    return select(lambda c: strip.normalize_str(c) == "")


def find_marks():
    strip = normalizers.StripAccents()
    return select(lambda c: strip.normalize_str(c) == "")


def find_control():
    clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return [c for c in select(lambda c: clean.normalize_str(c) == "") if c != 0xFFFD]


def find_not_normalised():
    """Characters that decompose, or are reordered, in Unicode and not in the reference."""
    nfd, nfkd = normalizers.NFD(), normalizers.NFKD()

    def differs(c):
        if nfkd.normalize_str(c) != unicodedata.normalize("NFKD", c):
            return True
        order = unicodedata.combining(c)
        if order == 0:
            return False
        text = "a" + ("\u0345" if order < 240 else "\u0301") + c + "\u0323"
        return nfd.normalize_str(text) != unicodedata.normalize("NFD", text)

    return select(differs)


def make_ranges(points):
    ranges = []
    for c in points:
        if ranges and ranges[-1][1] == c - 1:
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
    return ranges


def print_table(name, comment, points):
    print(f"\n/* {comment} */\nconst unicode_range {name}[] = {{")
    line = "   "
    for first, last in make_ranges(points):
        item = f" {{0x{first:X}, 0x{last:X}}},"
        if len(line) + len(item) > FRAME:
            print(line)
            line = "   "
        line += item
    print(f"{line}\n}};\nconst int {name}_count = sizeof {name} / sizeof *{name};")


def main():
    print("/* Made by tests/golden/text/unicode_tables.py: what the reference takes for these. */")
    print('// clang-format off\n#include "unicode.h"')
    print_table("unicode_punctuation", "Punctuation, and ASCII's symbols.", find_punctuation())
    print_table("unicode_nonspacing", "Nonspacing marks, Mn.", find_nonspacing())
    print_table("unicode_marks", "Marks, M.", find_marks())
    print_table("unicode_control", "Control, format and private use, without tab, line feed and carriage return.", find_control())
    print_table("unicode_unknown", "Newer than its normalisation: they stay as they are.", find_not_normalised())


main()
