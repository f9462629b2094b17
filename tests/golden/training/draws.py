"""The random numbers of src/core/rng.c, and what training draws from them: the order of samples and the masked tokens.

Philox4x32-10 [Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011] with key = seed and counter =
(counter, stream), each in two words, the lower one first.
"""
ORDER, MASKS, DRAWS = 1 << 20, 0x3A5C, 3
WORD = 0xFFFFFFFF


def draw_u64(seed, stream, counter):
    c = [counter & WORD, counter >> 32, stream & WORD, stream >> 32]
    k = [seed & WORD, seed >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & WORD, a >> 32 ^ c[3] ^ k[1], a & WORD]
        k = [(k[0] + 0x9E3779B9) & WORD, (k[1] + 0xBB67AE85) & WORD]
    return c[1] << 32 | c[0]


def draw_uniform(seed, stream, counter):
    return (draw_u64(seed, stream, counter) >> 11) * 2.0**-53


def permute(seed, epoch, n):
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = draw_u64(seed, ORDER + epoch, i) * (i + 1) >> 64
        order[i], order[j] = order[j], order[i]
    return order


def mask(tokens, place, options, epoch):
    """Return (what the model sees, what it has to find or -1) of a sequence; place: of its first token in the data."""
    seen, targets = list(tokens), [-1] * len(tokens)

    def draw(at, which):
        return draw_uniform(options["seed"], MASKS + (epoch + 1) * DRAWS + which, place + at)

    able = [at for at, token in enumerate(tokens) if token not in options["special"]]
    chosen = [at for at in able if draw(at, 0) < options["mask_rate"]]
    for at in chosen:
        targets[at] = tokens[at]
        if draw(at, 1) < 0.8:
            seen[at] = options["mask_token"]
        elif draw(at, 1) < 0.9:
            seen[at] = int(draw(at, 2) * options["vocabulary"])
    if able and not chosen:
        targets[able[0]], seen[able[0]] = tokens[able[0]], options["mask_token"]
    return seen, targets
