"""Difficult strings, the same on every run: strings() gives a list of bytes."""
import random
import unicodedata

NEWEST = (12, 0)  # of characters: tables of the program and of the reference agree on those
WORDS = ["the", "The", "Emma", "it's", "don't", "I'LL", "they've", "we'd", "café", "naïve", "straße", "Ǆungla", "İstanbul", "ΑΣ",
         "ſ's", "x'ſ", "I'ſ", "K'm", "été", "été", "ﬁne", "①②", "Ⅷ", "½", "２０２４", "１", "१२३", "٣٤", "中文字", "日本語の", "カタカナ", "ｶﾅ",
         "한국어", "각", "العَرَبِيَّة", "עברית", "हिन्दी", "ไทย", "ខ្មែរ", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷", "e\u0301\u0323", "a\u0323\u0301", "\u0301",
         "\u200d", "\u200b", "\u00ad", "\ufeff", "\ufffd", "\u2581", "▁▁a", "Ġ", "Ċ", "##ing", "[UNK]", "[CLS]", "[SEP]", "<s>", "</s>",
         "<unk>", "<|endoftext|>", "<|x|>", "<mark>", "<Mark>", "<0x0A>", "<0xE4>", "<0x", "\0", "a\0b", "\x01", "\x7f", "\x85", "\u180e",
         "\u2028", "\u3000", "\xa0", "\r\n", "\r", "\n\n\n", "\t\t", "for(int i=0;i<n;i++){", "x+=1;", "/* c */", "#!/bin/sh", "foo_bar", "a.b.c",
         "http://a.org/?q=1&r=2", "1234567", "3.14e-10", "0x1F", "1,000,000", "$9.99", "50%", "...", "?!?!", "``", "''", "—", "…", "“q”",
         "aaaaaaaaaaaaaaaaaaaaaaaa", "ZZZZ", "ab" * 60, "supercalifragilisticexpialidocious", "q" * 101, "é" * 101, "\U0001f9d1\u200d\U0001f680",
         "\U00020000\U0002b900", "丽", "豈", "㍿", "ﷺ", "Å", "ẛ̣", "ᾳ", "ŉ", "ǰ", "ß", "ẞ", "ﬀ", "Ω", "\U0001d400", "ϴ", "⁵", "\u0345", "\u093c"]
SPACES = ["", " ", " ", " ", "  ", "   ", "\n", "\n\n", " \n ", "\t", "\r\n", " " * 17, "\n" * 9, "\u00a0", "\u2003", "\u3000", "\u200b"]


def assigned():
    """Characters that were there in Unicode 12.0 [ucd_3_2_0 is older, so by name and category of now]."""
    newer = [(0x8BE, 0x8C7), (0x9BE0, 0x9FFF)]
    points = [c for c in range(0x10000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    points += [c for c in range(0x10000, 0x20000) if unicodedata.ucd_3_2_0.category(chr(c)) != "Cn"]
    points += list(range(0x1F300, 0x1F650)) + list(range(0x20000, 0x20400))
    return [c for c in points if not any(a <= c <= b for a, b in newer) and unicodedata.ucd_3_2_0.category(chr(c)) != "Cn"]


def by_category(points):
    found = {}
    for c in points:
        found.setdefault(unicodedata.category(chr(c)), []).append(c)
    return found


def mix(draw, count):
    return "".join(draw.choice(SPACES) + draw.choice(WORDS) for _ in range(count))


def scatter(draw, points, count):
    return "".join(chr(draw.choice(points)) + (draw.choice(SPACES) if draw.random() < 0.2 else "") for _ in range(count))


def bad_bytes(draw):
    text = bytearray(mix(draw, draw.randint(1, 6)).encode())
    for _ in range(draw.randint(1, 4)):
        text.insert(draw.randint(0, len(text)), draw.choice([0x80, 0xBF, 0xC0, 0xC3, 0xE2, 0xED, 0xF0, 0xF4, 0xF5, 0xFF]))
    return bytes(text)


def strings():
    draw = random.Random(17)
    points = assigned()
    found = [text.encode() for text in ["", " ", "  ", "\n", *WORDS, *SPACES]]
    found += [b" " + word.encode() for word in WORDS]
    found += [(word + draw.choice(WORDS)).encode() for word in WORDS]
    found += [mix(draw, draw.randint(2, 12)).encode() for _ in range(900)]
    for points_of in by_category(points).values():
        found += [scatter(draw, points_of, draw.randint(1, 16)).encode() for _ in range(12)]
    found += [scatter(draw, points, draw.randint(1, 24)).encode() for _ in range(400)]
    found += ["".join(chr(draw.randint(0, 127)) for _ in range(draw.randint(1, 60))).encode() for _ in range(200)]
    found += [bad_bytes(draw) for _ in range(200)]
    return found
