"""The texts that the small models are trained on. DATA is the folder that fetch_data.sh filled."""
import random
import struct
import zlib
from pathlib import Path

import rdata

NOVELS = ["emma", "mansfieldpark", "northangerabbey", "persuasion", "prideprejudice", "sensesensibility"]


def _read_lazy_object(database, offset, size):
    """Read one object of an R lazy-load database: length (big endian), then a zlib stream."""
    chunk = database[offset:offset + size]
    (length,) = struct.unpack(">I", chunk[:4])
    raw = zlib.decompress(chunk[4:])
    assert len(raw) == length
    return rdata.conversion.convert(rdata.parser.parse_data(raw, extension=".rds"))


def read_novels(data):
    """Return the six novels (public domain), one string each, a paragraph a line."""
    folder = Path(data) / "usr/lib/R/site-library/janeaustenr/data"
    index = rdata.conversion.convert(rdata.parser.parse_file(folder / "Rdata.rdx", extension=".rds"))
    database = (folder / "Rdata.rdb").read_bytes()
    return [_join_lines(_read_lazy_object(database, *map(int, index["variables"][name]))) for name in NOVELS]


def _join_lines(lines):
    paragraphs = "\n".join(str(line).strip() for line in lines).split("\n\n")
    return "\n".join(" ".join(p.split()) for p in paragraphs if p.strip()) + "\n"


def split_novels(data, held_out=0.06):
    """Return (training, held-out) text: the end of every novel is held out."""
    training, held = [], []
    for novel in read_novels(data):
        cut = novel.index("\n", int(len(novel) * (1 - held_out))) + 1
        training.append(novel[:cut])
        held.append(novel[cut:])
    return training, held


def read_descriptions(data, classes=24, seed=0):
    """Return ([(short description, section)], section names) of the Debian index: the most frequent
    sections, no description twice, shuffled."""
    section_of = {}
    for stanza in (Path(data) / "available.txt").read_text(encoding="utf-8").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.split("\n") if line[:1].isalpha() and ": " in line)
        if "Description" in fields and "Section" in fields:
            section_of.setdefault(" ".join(fields["Description"].split()), fields["Section"].split("/")[-1])
    pairs = sorted(section_of.items())
    count = {}
    for _, section in pairs:
        count[section] = count.get(section, 0) + 1
    names = sorted(sorted(count, key=lambda s: (-count[s], s))[:classes])
    pairs = [(text, names.index(section)) for text, section in pairs if section in names]
    random.Random(seed).shuffle(pairs)
    return pairs, names
