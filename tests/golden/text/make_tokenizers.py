#!/usr/bin/env python3
"""Train a small tokenizer of each kind and write it to tokenizers/ here; needs tokenizers.

    make_tokenizers.py TEXT...    learns from the files; the novels of analysis/models serve

What is trained is committed: training breaks ties as it likes.
"""
import base64
import json
import struct
import sys
from pathlib import Path

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)
from strings import WORDS

HERE = Path(__file__).parent / "tokenizers"
GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
        r"\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = GPT4.replace(r"\p{N}{1,3}", r"\p{N}")
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def train(tokenizer, trainer, texts):
    lines = [line for text in texts for line in text.splitlines(keepends=True)]
    tokenizer.train_from_iterator(lines + WORDS * 3, trainer)
    return tokenizer


def make_byte_level(texts, splitter=None, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=splitter is None)
    if splitter:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(splitter), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return train(tokenizer, trainers.BpeTrainer(vocab_size=1200, initial_alphabet=alphabet, show_progress=False,
                                                special_tokens=["<|endoftext|>"]), texts)


def make_gpt2(texts):
    tokenizer = make_byte_level(texts)
    tokenizer.post_processor = processors.ByteLevel()
    tokenizer.add_tokens([AddedToken("<mark>", normalized=False), AddedToken("<|x|>", lstrip=True, rstrip=True)])
    return tokenizer


def make_llama3(texts):
    tokenizer = make_byte_level(texts, GPT4, ignore_merges=True)
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(),
        processors.TemplateProcessing("<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])])
    return tokenizer


def make_qwen2(texts):
    tokenizer = make_byte_level(texts, QWEN2)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_tokens([AddedToken("<mark>", single_word=True)])
    return tokenizer


def set_spm(tokenizer):
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])


def make_llama2(texts):
    """As sentencepiece's BPE: merges do not cross words, which a pre-tokenizer sees to in training alone."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    set_spm(tokenizer)
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    train(tokenizer, trainers.BpeTrainer(vocab_size=1500, show_progress=False, limit_alphabet=90,
                                         special_tokens=["<unk>", "<s>", "</s>", *BYTES]), texts)
    whole = json.loads(tokenizer.to_str())
    whole["pre_tokenizer"] = None
    for token in whole["added_tokens"]:
        token["normalized"] = token["content"] == "</s>"
        token["special"] = token["id"] < 2
    whole["added_tokens"] = whole["added_tokens"][:3]
    whole["post_processor"] = json.loads(make_template("<s>", 1))
    return Tokenizer.from_str(json.dumps(whole))


def make_template(token, number):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.post_processor = processors.TemplateProcessing(f"{token} $A", special_tokens=[(token, number)])
    return json.dumps(json.loads(tokenizer.to_str())["post_processor"])


def make_mistral(texts):
    """The same with Metaspace, as newer files have it."""
    whole = json.loads(make_llama2(texts).to_str())
    whole["normalizer"] = None
    whole["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    return Tokenizer.from_str(json.dumps(whole))


def make_unk(texts):
    """Characters that are not known: fused or not, with affixes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", continuing_subword_prefix="@"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase(), normalizers.StripAccents()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(True)])
    tokenizer.decoder = decoders.BPEDecoder("</w>")
    return train(tokenizer, trainers.BpeTrainer(vocab_size=700, show_progress=False, limit_alphabet=60, end_of_word_suffix="</w>",
                                                continuing_subword_prefix="@", special_tokens=["<unk>"]), texts)


def make_wordpiece(texts, lowercase, **options):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, **options)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=lowercase)
    train(tokenizer, trainers.WordPieceTrainer(vocab_size=1000, show_progress=False, limit_alphabet=300,
                                               special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]), texts)
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
    return tokenizer


def make_charsmap(pairs):
    """A double array as sentencepiece has it, of strings of one to five bytes: a place for each node."""
    replacements, places = b"", {}
    for source, target in pairs:
        places[source.encode()] = len(replacements)
        replacements += target.encode() + b"\0"
    nodes = sorted({key[:n] for key in places for n in range(1, len(key) + 1)})
    units = {}
    free = 1

    def place(prefix):
        """Offset of a node's children, free at all their bytes; blocks of 256 that nobody shares."""
        nonlocal free
        offset, free = free * 256, free + 1
        return offset

    children = {}
    for node in nodes:
        children.setdefault(node[:-1], []).append(node[-1])
    offsets = {prefix: place(prefix) for prefix in {b"", *nodes}}

    def encode(position, prefix, label):
        """The offset is stored relative: position ^ offset, in units of 256 if large."""
        relative = position ^ offsets[prefix]
        unit = label | (0x100 if prefix in places else 0)
        return unit | (relative >> 8) << 10 | 0x200 if relative % 256 == 0 else unit | relative << 10

    positions = {b"": 0}
    for node in sorted(nodes, key=len):
        positions[node] = offsets[node[:-1]] ^ node[-1]
    units[0] = encode(0, b"", 0)
    for node in nodes:
        units[positions[node]] = encode(positions[node], node, node[-1])
        if node in places:
            units[offsets[node]] = places[node] | 1 << 31
    table = [units.get(i, 0xFF) for i in range(free * 256)]
    blob = struct.pack(f"<I{len(table)}I", 4 * len(table), *table) + replacements
    return base64.b64encode(blob).decode()


RULES = [("\t", " "), ("\n", " "), ("\r", ""), ("\u00a0", " "), ("\u3000", " "), ("\u200b", ""), ("ﬁ", "fi"), ("½", "1/2"), ("①", "1"),
         ("２", "2"), ("Å", "Å"), ("e\u0301", "é"), ("ｶ", "カ"), ("\ufeff", ""), ("…", "..."), ("“", '"'), ("👍", "+"), ("㍿", "株式会社")]


def make_unigram(texts, byte_fallback=False):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    specials = ["<unk>", "<s>", "</s>", *(BYTES if byte_fallback else [])]
    train(tokenizer, trainers.UnigramTrainer(vocab_size=1200, show_progress=False, unk_token="<unk>", special_tokens=specials,
                                             initial_alphabet=[]), texts)
    whole = json.loads(tokenizer.to_str())
    whole["model"]["byte_fallback"] = byte_fallback
    whole["added_tokens"] = whole["added_tokens"][:3]
    if byte_fallback:
        whole["model"]["vocab"] = [v for v in whole["model"]["vocab"] if v[0] in BYTES or len(v[0]) > 1 or v[0].isascii()]
    else:
        whole["normalizer"] = {"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": make_charsmap(RULES)},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]}
    return Tokenizer.from_str(json.dumps(whole))


def main():
    texts = [Path(name).read_text(encoding="utf-8") for name in sys.argv[1:]]
    if not texts:
        sys.exit(__doc__)
    HERE.mkdir(exist_ok=True)
    kinds = {"gpt2": make_gpt2, "llama3": make_llama3, "qwen2": make_qwen2, "llama2": make_llama2, "mistral": make_mistral,
             "affixes": make_unk, "wordpiece": lambda t: make_wordpiece(t, True),
             "cased": lambda t: make_wordpiece(t, False, handle_chinese_chars=False),
             "unigram": make_unigram, "unigram_bytes": lambda t: make_unigram(t, True)}
    for name, make in kinds.items():
        whole = json.loads(make(texts).to_str())
        (HERE / f"{name}.json").write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


main()
