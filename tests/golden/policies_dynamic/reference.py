#!/usr/bin/env python3
"""Write reference.json for tests/mpi/train/train_dynamic.c: dynamic sparse training and freezing, in NumPy.

    python3 reference.py

Nothing of the C program is used but its random numbers (../training/draws.py). "changes" has what a change of masks drops
and grows, from weights and gradients that are drawn; "erk" densities; "runs" whole trainings of a small perceptron in
double precision, with weights and those that are not zero behind the last step.
"""
import json
import math
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "training"))
import draws  # noqa: E402

START, GROWTH, SCORES = 0xD5700 << 40, 0xD5701 << 40, 0xD5710 << 40


def uniform(seed, stream, n, first=0):
    return np.array([draws.draw_uniform(seed, stream, first + i) for i in range(n)])


def normal(seed, stream, n, first=0):
    """esp_rng_normal: Box-Muller of 32 bits each."""
    bits = [draws.draw_u64(seed, stream, first + i) for i in range(n)]
    u, v = np.array([((b & draws.WORD) + 0.5) * 2.0**-32 for b in bits]), np.array([(b >> 32) * 2.0**-32 for b in bits])
    return np.sqrt(-2.0 * np.log(u)) * np.cos(6.283185307179586 * v)


def half_up(x):
    return int(math.floor(x + 0.5))


def largest(scores, among, k):
    """A mask of the k largest of those among; of equals the first."""
    order = [i for i in np.argsort(-scores, kind="stable") if among[i]][:k]
    mask = np.zeros(len(scores), bool)
    mask[order] = True
    return mask


def uniform_counts(shapes, sparsity):
    return [min(max(half_up((1 - sparsity) * a * b), 1), a * b) for a, b in shapes]


def erk_counts(shapes, sparsity):
    """Evci et al. 2020: proportional to fan-in + fan-out, those that would be more than dense are dense."""
    total, dense = sum((1 - sparsity) * a * b for a, b in shapes), set()
    while True:
        rest = total - sum(shapes[m][0] * shapes[m][1] for m in dense)
        share = sum(a + b for m, (a, b) in enumerate(shapes) if m not in dense)
        epsilon = max(rest, 0.0) / share if share else 0.0
        more = {m for m, (a, b) in enumerate(shapes) if m not in dense and epsilon * (a + b) >= a * b}
        if not more:
            break
        dense |= more
    return [a * b if m in dense else min(max(half_up(epsilon * (a + b)), 1), a * b) for m, (a, b) in enumerate(shapes)]


def fraction(alpha, step, end):
    return alpha / 2 * (1 + math.cos(math.pi * step / end))


def change(weights, mask, growth, part):
    """RigL's change of one matrix: (mask, weights, dropped, grown)."""
    live = int(mask.sum())
    k = math.floor(part * live)
    kept = largest(np.abs(weights), mask, live - k)
    after = kept | largest(growth, ~kept, k)
    return after, np.where(after & mask, weights, 0).astype(weights.dtype), np.flatnonzero(mask & ~after), np.flatnonzero(after & ~mask)


def change_units(sites, alive, standing, growth, part, sparsity):
    after = alive.copy()
    for first, n in sites:
        at = slice(first, first + n)
        few = max(half_up((1 - sparsity) * (1 - part) * n), 1)
        many = max(half_up((1 - sparsity) * n), 1)
        kept = largest(standing[at], alive[at], few)
        after[at] = kept | largest(growth[at], ~kept, many - int(kept.sum()))
    return after


def eliminate(x, weights, ridge=1e-3):
    """The order in which units go, each the one whose loss raises the error of the outputs least, which are regressed anew
    on what stays; outputs have unit variance."""
    g = np.cov(x.T, bias=True).reshape(x.shape[1], -1)
    d = ridge * np.mean(np.diag(g)) * np.eye(len(g))
    var = np.diag(weights @ g @ weights.T)
    cross = weights / np.sqrt(var + (1e-6 * np.mean(var) or 1))[:, None] @ g
    left, gone = list(range(len(g))), []

    def explain(kept):
        c = cross[:, kept]
        return np.trace(c @ np.linalg.solve((g + d)[np.ix_(kept, kept)], c.T)) if kept else 0.0

    while left:
        costs = {u: explain(left) - explain([v for v in left if v != u]) if g[u, u] > 0 else -1.0 for u in left}
        least = min(costs.values())
        gone.append(max(u for u in left if costs[u] <= (least if least < 0 else least * (1 + 1e-7) + 1e-13)))
        left.remove(gone[-1])
    return gone


class Net:
    """A perceptron; parameters are W0, b0, W1, ..., one after the other in the program's places."""

    def __init__(self, sizes):
        self.sizes = sizes
        self.shapes = [(o, i) for i, o in zip(sizes, sizes[1:])]
        self.places, at = [], 0
        for o, i in self.shapes:
            self.places += [at, at + o * i]
            at += o * i + o
        self.sites, self.units = [], 0
        for n in sizes[1:-1]:
            self.sites.append((self.units, n))
            self.units += n

    def is_matrix(self, w):
        return w % 2 == 0

    def unit_values(self, unit):
        """(matrix, rows and bias, columns of the next) of a unit."""
        site = max(s for s, (first, _) in enumerate(self.sites) if first <= unit)
        return site, unit - self.sites[site][0]

    def measure_units(self, values):
        """Mean |w| of what makes a unit and reads it."""
        means = np.zeros(self.units)
        for u in range(self.units):
            site, k = self.unit_values(u)
            parts = [values[2 * site].reshape(self.shapes[site])[k], values[2 * site + 1][k:k + 1],
                     values[2 * site + 2].reshape(self.shapes[site + 1])[:, k]]
            means[u] = np.mean(np.abs(np.concatenate(parts)))
        return means

    def measure_gates(self, values, gradients):
        gates = np.zeros(self.units)
        for u in range(self.units):
            site, k = self.unit_values(u)
            shape = self.shapes[site + 1]
            gates[u] = abs(np.dot(values[2 * site + 2].reshape(shape)[:, k], gradients[2 * site + 2].reshape(shape)[:, k]))
        return gates

    def measure_set_mi(self, values, alive, x):
        standing = np.zeros(self.units)
        for site, (first, n) in enumerate(self.sites):
            x = np.maximum(x @ values[2 * site].reshape(self.shapes[site]).T + values[2 * site + 1], 0)
            living = np.flatnonzero(alive[first:first + n])
            weights = values[2 * site + 2].reshape(self.shapes[site + 1])
            for place, unit in enumerate(eliminate(x[:, living], weights[:, living])):
                standing[first + living[unit]] = place + 1
        return standing

    def column_mask(self, alive):
        masks = [np.ones(o * i, bool) for o, i in self.shapes]
        for site, (first, n) in enumerate(self.sites):
            masks[site + 1] = np.broadcast_to(alive[first:first + n], self.shapes[site + 1]).ravel().copy()
        return masks

    def gradients(self, values, x, y):
        inputs = [x]
        for m, shape in enumerate(self.shapes):
            z = inputs[-1] @ values[2 * m].reshape(shape).T + values[2 * m + 1]
            inputs.append(np.maximum(z, 0) if m + 1 < len(self.shapes) else z)
        p = np.exp(inputs[-1] - inputs[-1].max(1, keepdims=True))
        d = p / p.sum(1, keepdims=True)
        d[np.arange(len(y)), y] -= 1
        d /= len(y)
        found = [None] * (2 * len(self.shapes))
        for m in reversed(range(len(self.shapes))):
            found[2 * m], found[2 * m + 1] = (d.T @ inputs[m]).ravel(), d.sum(0)
            d = (d @ values[2 * m].reshape(self.shapes[m])) * (inputs[m] > 0)
        return found


def write_changes():
    """Weights in steps of 1/64 and gradients in steps of 1/32, so that there are ties, and what grew is tied at zero."""
    net, seed, end, alpha, sparsity = Net([80, 60, 40, 3]), 7, 40, 0.3, 0.8
    counts = erk_counts(net.shapes, sparsity)
    weights, masks = [], []
    for m, (o, i) in enumerate(net.shapes):
        n, at = o * i, net.places[2 * m]
        weights.append((np.floor(64 * uniform(seed, 1, n, at)) / 64 - 0.5).astype(np.float32))
        scores = uniform(seed, START, n, at).astype(np.float32)
        masks.append(largest(scores, np.ones(n, bool), counts[m]))
        weights[m][~masks[m]] = 0
    rows = []
    for number, step in enumerate((10, 20, 30)):
        row = {"step": step, "fraction": fraction(alpha, step, end), "dropped": [], "grown": []}
        for m, (o, i) in enumerate(net.shapes):
            n, at = o * i, net.places[2 * m]
            weights[m] += np.where(masks[m], (uniform(seed, 10 + number, n, at) / 8).astype(np.float32), 0).astype(np.float32)
            growth = (np.floor(32 * uniform(seed, 20 + number, n, at)) / 32).astype(np.float32)
            masks[m], weights[m], dropped, grown = change(weights[m], masks[m], growth, row["fraction"])
            row["dropped"].append(dropped.tolist())
            row["grown"].append(grown.tolist())
        rows.append(row)
    return {"sizes": net.sizes, "seed": seed, "end": end, "alpha": alpha, "sparsity": sparsity, "counts": counts,
            "sums": [int(np.flatnonzero(m).sum()) for m in initial_masks(net, seed, counts)], "rows": rows}


def initial_masks(net, seed, counts):
    return [largest(uniform(seed, START, o * i, net.places[2 * m]).astype(np.float32), np.ones(o * i, bool), counts[m])
            for m, (o, i) in enumerate(net.shapes)]


def write_units():
    net, seed = Net([80, 60, 40, 3]), 7
    values = [uniform(seed, 1, o * i if w % 2 == 0 else o, net.places[w]) - 0.5
              for w, (o, i) in ((w, net.shapes[w // 2]) for w in range(6))]
    gradients = [uniform(seed, 2, len(v), net.places[w]) - 0.5 for w, v in enumerate(values)]
    values, gradients = [[v.astype(np.float32).astype(float) for v in list_] for list_ in (values, gradients)]
    standing, gates = net.measure_units(values), net.measure_gates(values, gradients)
    alive, rows = np.ones(net.units, bool), []
    for part, sparsity in ((0.3, 0.2), (0.25, 0.5), (0.0, 0.7)):
        alive = change_units(net.sites, alive, standing, gates, part, sparsity)
        rows.append({"fraction": part, "sparsity": sparsity, "alive": np.flatnonzero(alive).tolist()})
    return {"standing": standing.tolist(), "gates": gates.tolist(), "rows": rows}


SHAPES = [[[300, 784], [100, 300], [10, 100]], [[48, 48], [48, 48], [100, 48], [48, 100], [4, 48]], [[2, 2], [500, 500]]]


def write_erk():
    return [{"shapes": s, "sparsity": p, "counts": erk_counts([tuple(x) for x in s], p)} for s in SHAPES
            for p in (0.0, 0.3, 0.5, 0.8, 0.9, 0.98, 0.999)]


# The training of tests/helper/training.h, with relu and sgd, masks changing every 4 steps.
SIZES, COUNT, BATCH, STEPS, EVERY, END, SEED = [6, 9, 5, 3], 50, 16, 24, 4, 18, 5
RATE, WARMUP, DECAY, MOMENTUM, ALPHA, SPARSITY, SCORE_RATE = 0.1, 0.1, 0.01, 0.9, 0.5, 0.6, 0.1
SCORED = 12  # steps behind which scores are written


def rate_of(step, rate=RATE):
    warm, at = WARMUP * STEPS, step + 0.5
    return rate * at / warm if at < warm else rate * 0.5 * (1 + math.cos(math.pi * (at - warm) / (STEPS - warm)))


def make_data():
    classes, width = SIZES[-1], SIZES[0]
    labels = np.array([draws.draw_u64(1, 0, s) * classes >> 64 for s in range(COUNT)])
    pixels = np.array([[(draws.draw_u64(1, 1, s * width + p) * 60 >> 64) + (150 if p % classes == labels[s] else 0)
                        for p in range(width)] for s in range(COUNT)])
    return (pixels / 255.0 - 0.25) / 0.5, labels


def make_values(net, seed=11):
    values = []
    for w in range(2 * len(net.shapes)):
        o, i = net.shapes[w // 2]
        drawn = math.sqrt(2.0 / i) * normal(seed, w, o * i) if w % 2 == 0 else 0.1 * normal(seed, 100, o, 64 * w)
        values.append(drawn.astype(np.float32).astype(float))
    return values


class Run:
    def __init__(self, policy, granularity, rule):
        self.rule = rule
        self.policy, self.by_units = policy, granularity == "units"
        self.net = Net(SIZES)
        self.values = make_values(self.net)  # latent ones, where masked weights are kept
        self.velocity = [np.zeros_like(v) for v in self.values]
        self.mean = [np.zeros_like(v) for v in self.values]
        self.x, self.y = make_data()
        self.alive = np.ones(self.net.units, bool)
        self.masks = [np.ones(o * i, bool) for o, i in self.net.shapes]
        getattr(self, "begin_" + policy.replace("-", "_"), lambda: None)()

    def effective(self):
        if self.policy == "freezenet":
            return self.values
        return [v * self.masks[w // 2] if w % 2 == 0 else v for w, v in enumerate(self.values)]

    def batch(self, step):
        per_epoch = -(-COUNT // BATCH)
        order = draws.permute(SEED, step // per_epoch, COUNT)
        begin = step % per_epoch * BATCH
        return order[begin:begin + BATCH]

    def differentiate(self, step):
        at = self.batch(step)
        return self.net.gradients(self.effective(), self.x[at], self.y[at])

    def begin_random(self):
        if self.by_units:
            return
        self.masks = initial_masks(self.net, SEED, erk_counts(self.net.shapes, SPARSITY))
        self.values = self.effective()

    begin_set = begin_rigl = begin_snfs = begin_random

    def begin_edge_popup(self):
        self.scores = []
        for m, (o, i) in enumerate(self.net.shapes):
            self.scores.append((2 * uniform(SEED, SCORES, o * i, self.net.places[2 * m]) - 1) / math.sqrt(i))
        self.score_velocity = [np.zeros_like(s) for s in self.scores]
        self.choose()

    def choose(self):
        counts = uniform_counts(self.net.shapes, SPARSITY)
        self.masks = [largest(np.abs(s), np.ones(len(s), bool), k) for s, k in zip(self.scores, counts)]

    def begin_freezenet(self):
        found = self.differentiate(0)
        scores = [np.abs(self.values[2 * m] * found[2 * m]) for m in range(len(self.masks))]
        floors = [largest(s, np.ones(len(s), bool), 1) for s in scores]
        all_scores, rest = np.concatenate(scores), ~np.concatenate(floors)
        keep = half_up((1 - SPARSITY) * len(rest)) - len(scores)
        chosen = largest(all_scores, rest, keep) | ~rest
        self.masks = np.split(chosen, np.cumsum([len(s) for s in scores])[:-1])
        self.scored = scores

    def grow_scores(self, found, number):
        """By policy, of every weight; of every unit."""
        if self.policy == "set" and self.by_units:
            return uniform(SEED, GROWTH + number, self.net.units)
        if self.policy == "set":
            return [uniform(SEED, GROWTH + number, len(self.masks[m]), self.net.places[2 * m]).astype(np.float32)
                    for m in range(len(self.masks))]
        source = self.mean if self.policy == "snfs" else found
        if self.by_units:
            return self.net.measure_gates(self.values, source)
        return [np.abs(source[2 * m]) for m in range(len(self.masks))]

    def stand(self, number):
        if self.rule == "magnitude":
            return self.net.measure_units(self.values)
        return self.net.measure_set_mi(self.effective(), self.alive, self.x[self.batch(number - 1)])

    def change(self, found, number):
        part = fraction(ALPHA, number, END)
        if not self.by_units:
            for m, growth in enumerate(self.grow_scores(found, number)):
                before = self.masks[m]
                self.masks[m], self.values[2 * m], _, _ = change(self.values[2 * m], before, growth, part)
                self.velocity[2 * m][self.masks[m] & ~before] = 0
            return
        sparsity = SPARSITY * (1 - (1 - number / END) ** 3)
        before = self.alive
        self.alive = change_units(self.net.sites, before, self.stand(number),
                                  self.grow_scores(found, number), part, sparsity)
        self.masks = self.net.column_mask(self.alive)
        for m, new in enumerate(self.net.column_mask(~(self.alive & ~before))):
            self.velocity[2 * m][~new] = 0

    def is_due(self, number):
        regular = number < END and number % EVERY == 0
        return self.policy in ("set", "rigl", "snfs") and (regular or (self.by_units and number == END))

    def update_scores(self, found, step):
        for m, s in enumerate(self.scores):
            slope = found[2 * m] * self.values[2 * m] * np.sign(s)
            self.score_velocity[m] = MOMENTUM * self.score_velocity[m] + slope + 1e-4 * s
            s -= rate_of(step, SCORE_RATE) * self.score_velocity[m]

    def update(self, found, rate):
        for w, v in enumerate(self.values):
            gradient, frozen = found[w].copy(), np.zeros(len(v), bool)
            if w % 2 == 0:
                gradient[~self.masks[w // 2]] = 0
                frozen = np.ones(len(v), bool) if self.policy == "edge-popup" else frozen
                frozen = ~self.masks[w // 2] if self.policy == "freezenet" else frozen
                v_decay = DECAY
            else:
                v_decay = 0.0
            self.velocity[w] = MOMENTUM * self.velocity[w] + gradient
            self.values[w] = np.where(frozen, v, (1 - rate * v_decay) * v - rate * self.velocity[w])
            if w % 2 == 0 and not self.by_units and self.policy in ("set", "rigl", "snfs"):
                self.values[w] *= self.masks[w // 2]

    def step(self, step):
        found, number = self.differentiate(step), step + 1
        if self.policy == "snfs" and number <= END:
            self.mean = [0.9 * a + (1 - 0.9) * b for a, b in zip(self.mean, found)]
        if self.policy == "edge-popup":
            self.update_scores(found, step)
        if self.is_due(number):
            self.change(found, number)
        else:
            self.update(found, rate_of(step))
        if self.policy == "edge-popup":
            self.choose()


def digits(values):
    return [float("%.8g" % v) for v in values]


def write_run(policy, granularity, rule="magnitude"):
    run = Run(policy, granularity, rule)
    for step in range(STEPS):
        run.step(step)
        if policy == "edge-popup" and step + 1 == SCORED:
            scores = [digits(s) for s in run.scores]
    row = {"policy": policy, "granularity": granularity, "rule": rule,
           "nonzero": [np.flatnonzero(v).tolist() for v in run.effective()[::2]],
           "values": [digits(v) for v in run.effective()]}
    if policy == "edge-popup":
        row["scores"], row["scored"] = scores, SCORED
    return row


def main():
    runs = [write_run(p, g) for p in ("set", "rigl", "snfs") for g in ("weights", "units")]
    runs += [write_run(p, "weights") for p in ("edge-popup", "freezenet")]
    runs += [write_run(p, "units", "set-mi") for p in ("set", "rigl")]
    all_ = {"erk": write_erk(), "changes": write_changes(), "units": write_units(), "runs": runs}
    (HERE / "reference.json").write_text(json.dumps(all_, separators=(",", ":")).replace('},{"', '},\n{"') + "\n")


if __name__ == "__main__":
    main()
