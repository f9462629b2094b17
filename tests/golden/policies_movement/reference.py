#!/usr/bin/env python3
"""Write reference.json for tests/mpi/train/policies_movement.c: what PyTorch makes of policies that learn scores or gates, and of
regularised irrelevant weights, on a small perceptron.

    OMP_NUM_THREADS=1 python3 reference.py

All in float64. Masks and gates are leaves that autograd gives the gradients of: gates of units stand on activations, hard
concrete gates and penalties are differentiated as they are written in the papers, and the regulariser of irrelevant weights is
made of two backward passes. Of every case: scores (or gates' z), masks and values behind some steps, and the weights in the end.
Adam makes a whole step of a gradient that is rounding alone: where one was below 1e-2 of its array's largest, there is no number.
Decisions that lie within 1e-5 of each other are refused, since float32 could take them otherwise.
"""
import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "training"))
import draws  # noqa: E402

SIZES, SAMPLES, CLASSES, BATCH, MICRO = (6, 9, 5, 3), 50, 3, 10, 5
STEPS, STOP, SEED, EVALUATE = 40, 33, 5, 10
RATE, DECAY, BETA1, BETA2, EPSILON = 0.005, 0.01, 0.9, 0.999, 1e-8
LOW, HIGH, BETA, GATES = -0.1, 1.1, 2 / 3, 1 << 30
DEFAULTS = {"policy": "movement", "granularity": "weights", "distribution": "uniform", "threshold": "hard", "gates_from": "constant",
            "final_sparsity": 0.6, "prune_from": 0.25, "prune_to": 0.75, "prune_every": 1, "score_rate": 0.01, "penalty": 0.5,
            "penalty_decay": 0, "alpha": 1.0, "prune_fraction": 0.2, "bound": 100.0, "hold_out": 0, "optimizer": "adamw",
            "rate": RATE, "stop": STOP}
UNITS = {"granularity": "units"}
SOFT = {"threshold": "soft", "score_rate": 0.08}
L0 = {"policy": "l0", "score_rate": 0.2}
GATED = {"policy": "gates", **UNITS, "prune_from": 0.0, "prune_to": 0.0}
HELD = {"distribution": "global", "hold_out": 5, "penalty": 0.01, "alpha": 0.05}
ONE = {"optimizer": "sgd", "rate": 0.5, "stop": 1, "penalty": 0.1, "alpha": 0.02}  # shows the gradient
CASES = [
    {}, {"distribution": "global"}, UNITS, {**UNITS, "distribution": "global", "final_sparsity": 0.5}, {**SOFT, "penalty": 4.0},
    {**SOFT, **UNITS, "penalty": 6.0, "score_rate": 0.07}, {**L0, "penalty": 1.0}, {**L0, **UNITS, "penalty": 1.0}, {**GATED, "prune_from": 0.25, "prune_to": 0.75},
    {**GATED, "gates_from": "norms"},
    {**GATED, "gates_from": "gradients"}, {**HELD, "policy": "irrelevance"}, {**HELD, "policy": "irrelevance", **UNITS},
    {**HELD, **ONE, "policy": "irrelevance"}, {**HELD, **ONE, "policy": "irrelevance", **UNITS}, {**HELD, "policy": "l2"}, {**HELD, "policy": "l1"}, {**HELD, "policy": "l2", **UNITS}, {**HELD, "policy": "l1", **UNITS},
    {**HELD, "policy": "irrelevance", "penalty": 0.1, "penalty_decay": 8, "prune_to": 0.5}, {**GATED, "distribution": "global", "prune_from": 0.25, "prune_to": 0.75},
]


def make_data():
    labels = [draws.draw_u64(1, 0, s) * CLASSES >> 64 for s in range(SAMPLES)]
    pixels = [[(draws.draw_u64(1, 1, s * SIZES[0] + p) * 60 >> 64) + (150 if p % CLASSES == labels[s] else 0)
               for p in range(SIZES[0])] for s in range(SAMPLES)]
    return (torch.tensor(pixels, dtype=torch.float64) / 255 - 0.25) / 0.5, torch.tensor(labels)


def make_weights():
    """Matrix, bias, matrix...: uniform numbers by their place among all values."""
    place, weights = 0, []
    for inputs, outputs in zip(SIZES, SIZES[1:]):
        for shape in ((outputs, inputs), (outputs,)):
            n = math.prod(shape)
            values = [float(draws.draw_uniform(11, 7, place + i)) - 0.5 for i in range(n)]
            weights.append(torch.tensor(values, dtype=torch.float64).reshape(shape))
            place += n
    return weights


def predict(weights, x, gates=(1.0, 1.0)):
    x = F.gelu(x @ weights[0].T + weights[1]) * gates[0]
    x = F.gelu(x @ weights[2].T + weights[3]) * gates[1]
    return x @ weights[4].T + weights[5]


def leaf(value):
    return value.clone().requires_grad_()


class Adam:
    def __init__(self, parameters, rate, decay):
        self.of, self.rate, self.decay = parameters, rate, decay
        self.m = [torch.zeros_like(p) for p in parameters]
        self.v = [torch.zeros_like(p) for p in parameters]
        self.weak = [torch.zeros_like(p) > 0 for p in parameters]
        self.t = 0

    def step(self, gradients):
        self.t += 1
        for p, g, m, v, weak in zip(self.of, gradients, self.m, self.v, self.weak):
            weak |= (g != 0) & (g.abs() < 1e-2 * g.abs().max())
            m.mul_(BETA1).add_(g, alpha=1 - BETA1)
            v.mul_(BETA2).add_(g * g, alpha=1 - BETA2)
            if p.dim() > 1:
                p.mul_(1 - self.rate * self.decay)
            p.sub_(self.rate * (m / (1 - BETA1**self.t)) / ((v / (1 - BETA2**self.t)).sqrt() + EPSILON))


class Descent(Adam):
    """With momentum; the first step has none."""

    def step(self, gradients):
        for p, g, m in zip(self.of, gradients, self.m):
            m.mul_(BETA1).add_(g)
            p.mul_(1 - self.rate * self.decay if p.dim() > 1 else 1).sub_(m, alpha=self.rate)


def round_half(x):
    return math.floor(x + 0.5)


class Run:
    def __init__(self, options):
        self.o = {**DEFAULTS, **options}
        self.x, self.y = make_data()
        held = {s for s in range(SAMPLES) if self.o["hold_out"] and s // MICRO % self.o["hold_out"] == self.o["hold_out"] - 1}
        self.training = [s for s in range(SAMPLES) if s not in held]
        self.weights = make_weights()  # behind masks
        self.by_units = self.o["granularity"] == "units"
        shapes = [(9,), (5,)] if self.by_units else [tuple(w.shape) for w in self.weights[::2]]
        start = 2.197 if self.o["policy"] == "l0" else 0.0
        self.scores = [torch.full(shape, start, dtype=torch.float64) for shape in shapes]
        self.masks = [torch.ones(shape, dtype=torch.float64) for shape in shapes]
        self.optimizer = {"adamw": Adam, "sgd": Descent}[self.o["optimizer"]](self.weights, self.o["rate"], DECAY)
        self.learner = Adam(self.scores, self.o["score_rate"], 0.0)
        self.step = self.pruned_at = 0

    def choose_batch(self):
        per_epoch = (len(self.training) + BATCH - 1) // BATCH
        order = draws.permute(SEED, self.step // per_epoch, len(self.training))
        begin = self.step % per_epoch * BATCH
        picked = [self.training[i] for i in order[begin:begin + BATCH]]
        return self.x[picked], self.y[picked]

    def get_progress(self):
        begin, end = math.floor(self.o["prune_from"] * STEPS), math.ceil(self.o["prune_to"] * STEPS)
        return 1.0 if self.step >= end else max(self.step - begin, 0) / (end - begin)

    def get_ramp(self):
        return 1 - (1 - self.get_progress())**3

    def compute_loss(self, weights, masks, batch=None):
        """Masks of matrices, or gates of units."""
        x, y = batch or self.choose_batch()
        if self.by_units:
            return F.cross_entropy(predict(weights, x, masks), y)
        masked = [w * masks[i // 2] if i % 2 == 0 else w for i, w in enumerate(weights)]
        return F.cross_entropy(predict(masked, x), y)

    def keep_largest(self, scores, sparsity, among=None):
        """Masks of the largest; each keeps one at least."""
        among = among or [torch.ones_like(s) for s in scores]
        if self.o["distribution"] == "global":
            flat = torch.cat([s.flatten() for s in scores])
            may = torch.cat([a.flatten() for a in among]) > 0
            keep = torch.zeros_like(flat)
            at = 0
            for s in scores:
                own = torch.where(may[at:at + s.numel()], s.flatten(), -torch.inf)
                keep[at + int(own.argmax())] = 1
                at += s.numel()
            rest = [i for i in torch.argsort(flat, descending=True, stable=True).tolist() if may[i] and not keep[i]]
            left = round_half((1 - sparsity) * flat.numel()) - int(keep.sum())
            if self.o["policy"] == "gates":
                left = self.count_fitting(rest, keep, sparsity)
            self.check_gap(flat, rest, left)
            keep[rest[:max(left, 0)]] = 1
            return [k.reshape(s.shape) for k, s in zip(keep.split([s.numel() for s in scores]), scores)]
        masks = []
        for s, a in zip(scores, among):
            flat, keep = s.flatten(), torch.zeros(s.numel(), dtype=torch.float64)
            order = [i for i in torch.argsort(flat, descending=True, stable=True).tolist() if a.flatten()[i] > 0]
            n = max(round_half((1 - sparsity) * s.numel()), 1)
            self.check_gap(flat, order, n)
            keep[order[:n]] = 1
            masks.append(keep.reshape(s.shape))
        return masks

    def count_fitting(self, rest, keep, sparsity):
        """The first of the rest that the budget of elements of matrices holds."""
        sizes = [SIZES[0] + SIZES[2]] * SIZES[1] + [SIZES[1] + SIZES[3]] * SIZES[2]
        budget = round_half((1 - sparsity) * sum(sizes)) - sum(s for s, k in zip(sizes, keep.tolist()) if k)
        for count, unit in enumerate(rest):
            budget -= sizes[unit]
            if budget < 0:
                return count
        return len(rest)

    def check_gap(self, flat, order, n):
        if 0 < n < len(order):
            gap = flat[order[n - 1]] - flat[order[n]]
            assert gap == 0 or gap > 1e-5 * float(flat.abs().max()), f"{self.o}: a gap of {gap:.2g}"

    def keep_above(self, threshold):
        masks = []
        for s in self.scores:
            assert not math.isfinite(threshold) or (s - threshold).abs().min() > 1e-5, "too close"
            mask = (s > threshold).double()
            mask.flatten()[int(s.argmax())] = 1
            masks.append(mask)
        return masks

    # One step of each policy.
    def step_movement(self):
        weights, masks, scores = [leaf(w) for w in self.weights], [leaf(m) for m in self.masks], [leaf(s) for s in self.scores]
        soft = self.o["threshold"] == "soft"
        self.compute_loss(weights, masks).backward()
        if soft:
            penalty = sum(torch.sigmoid(s).mean() for s in scores) / len(scores)
            (self.o["penalty"] * self.get_ramp() * penalty).backward()
        self.learner.step([m.grad + (s.grad if soft else 0) for m, s in zip(masks, scores)])
        self.optimizer.step([w.grad for w in weights])
        self.step += 1
        if self.step < math.floor(self.o["prune_from"] * STEPS):
            return
        if soft:
            tau = 0.1 * self.get_ramp()
            self.masks = self.keep_above(math.log(tau / (1 - tau)) if tau > 0 else -math.inf)
        else:
            self.masks = self.keep_largest(self.scores, self.o["final_sparsity"] * self.get_ramp())

    def draw_gates(self, scores):
        """Hard concrete, by the place of a weight among all values, or of a unit among all units."""
        place, gates = 0, []
        for i, s in enumerate(scores):
            u = torch.tensor([draws.draw_uniform(SEED, GATES + self.step, place + k) for k in range(s.numel())]).double()
            u = u.clamp(1e-4, 1 - 1e-4).reshape(s.shape)
            drawn = torch.sigmoid((torch.log(u) - torch.log(1 - u) + s) / BETA)
            gates.append((drawn * (HIGH - LOW) + LOW).clamp(0, 1))
            place += s.numel() + (0 if self.by_units else s.shape[0])
        return gates

    def step_l0(self):
        weights, scores = [leaf(w) for w in self.weights], [leaf(s) for s in self.scores]
        loss = self.compute_loss(weights, self.draw_gates(scores))
        penalty = sum(torch.sigmoid(s - BETA * math.log(-LOW / HIGH)).mean() for s in scores) / len(scores)
        weight = self.o["penalty"] if self.step >= math.floor(self.o["prune_from"] * STEPS) else 0.0
        (loss + weight * penalty).backward()
        self.learner.step([s.grad for s in scores])
        self.optimizer.step([w.grad for w in weights])
        self.step += 1

    def start_gates(self):
        if self.o["gates_from"] == "norms":
            scores = self.square_units(self.weights)
        elif self.o["gates_from"] == "gradients":
            gates = [leaf(torch.ones_like(s)) for s in self.scores]
            self.compute_loss(self.weights, gates).backward()
            scores = [g.grad.abs() for g in gates]
        for site, values in zip(self.scores, scores if self.o["gates_from"] != "constant" else ()):
            for rank, unit in enumerate(torch.argsort(values).tolist()):
                site[unit] = (2 * rank + 1) / len(site) - 1

    def step_gates(self):
        z = [leaf(s) for s in self.scores]
        p = [torch.sigmoid(s / 1.5) for s in z]
        self.compute_loss(self.weights, [m + q - q.detach() for m, q in zip(self.masks, p)]).backward()
        self.learner.step([s.grad for s in z])
        self.step += 1
        self.masks = self.keep_largest([torch.sigmoid(s / 1.5) for s in self.scores], self.o["final_sparsity"] * self.get_ramp())

    def square_units(self, weights):
        """Rows, biases and columns."""
        masked = self.mask(weights)
        return [(weights[i]**2).sum(1) + weights[i + 1]**2 + (masked[i + 2]**2).sum(0) if i == 0 else
                (masked[i]**2).sum(1) + weights[i + 1]**2 + (masked[i + 2]**2).sum(0) for i in (0, 2)]

    def mask(self, weights):
        if not self.by_units:
            return [w * self.masks[i // 2] if i % 2 == 0 else w for i, w in enumerate(weights)]
        return [w * self.masks[i // 2 - 1] if i in (2, 4) else w for i, w in enumerate(weights)]

    def regularise(self, weights, g):
        """R of the second pass; g is that of the first."""
        gamma, alpha, kind, decay = (self.o[key] for key in ("penalty", "alpha", "policy", "penalty_decay"))
        gamma *= max(1 - (self.step - self.pruned_at) / decay, 0) if decay else 1
        if self.by_units:
            live = torch.cat(self.masks) > 0
            squares, g = torch.cat(self.square_units(weights))[live], torch.cat(g)[live]
            if kind == "l1":
                return gamma * squares.sqrt().sum()
            return gamma * (squares * (torch.exp(-g.abs() / alpha) if kind == "irrelevance" else 1.0)).sum()
        masked = self.mask(weights)
        if kind == "l1":
            return gamma * sum(w.abs().sum() for w in masked)
        return gamma * sum((w**2 * (torch.exp(-h.abs() / alpha) if kind == "irrelevance" else 1.0)).sum() for w, h in zip(masked, g))

    def step_regularised(self):
        weights, gates = [leaf(w) for w in self.weights], [leaf(m) for m in self.masks]
        self.compute_loss(weights, gates).backward()
        first = [g.grad for g in gates] if self.by_units else [w.grad for w in weights]
        again = [leaf(w) for w in self.weights]
        (self.compute_loss(again, self.masks) + self.regularise(again, first)).backward()
        self.optimizer.step([m * w.grad for m, w in zip(self.expand(), again)])
        for w, m in zip(self.weights, self.expand()):
            w.mul_(m)
        self.step += 1
        if self.step % EVALUATE == 0 and self.step < STEPS and self.step <= math.ceil(self.o["prune_to"] * STEPS):
            self.prune_smallest()
            self.pruned_at = self.step

    def expand(self):
        return self.mask([torch.ones_like(w) for w in self.weights])

    def prune_smallest(self):
        live, of = sum(float(m.sum()) for m in self.masks), sum(m.numel() for m in self.masks)
        left = min(round_half((1 - self.o["prune_fraction"]) * live), live - 1)
        scores = self.square_units(self.weights) if self.by_units else [w.abs() for w in self.weights[::2]]
        self.masks = self.keep_largest(scores, 1 - left / of, self.masks)
        for w, m in zip(self.weights, self.expand()):
            w.mul_(m)

    def make_step(self):
        policy = self.o["policy"]
        {"movement": self.step_movement, "l0": self.step_l0, "gates": self.step_gates}.get(policy, self.step_regularised)()

    def finish(self):
        """The weights as they are written."""
        if self.o["policy"] != "l0":
            return self.mask(self.weights)
        open_ = self.keep_above(math.log(-LOW / HIGH))
        self.masks = []
        for s, kept in zip(self.scores, open_):
            gate = (torch.sigmoid(s) * (HIGH - LOW) + LOW).clamp(0, 1)
            self.masks.append(kept * torch.where(gate > 0, gate, torch.sigmoid(s)))
        return self.mask(self.weights)


def flatten(values, weak=None):
    """None where a gradient was rounding at some step: Adam makes a whole step of it."""
    numbers = [float(f"{v:.8g}") for v in torch.cat([w.flatten() for w in values]).tolist()]
    left_out = torch.cat([w.flatten() for w in weak]).tolist() if weak else [False] * len(numbers)
    return [None if out else number for number, out in zip(numbers, left_out)]


def make_case(options):
    run = Run(options)
    if run.o["policy"] == "gates":
        run.start_gates()
        run.masks = run.keep_largest([torch.sigmoid(s / 1.5) for s in run.scores], run.o["final_sparsity"] * run.get_ramp())
    for _ in range(run.o["stop"]):
        run.make_step()
    row = {"options": run.o, "scores": flatten(run.scores, run.learner.weak), "weights": flatten(run.weights, run.optimizer.weak),
           "mask": [int(m) for m in torch.cat([m.flatten() for m in run.masks]).tolist()]}
    if run.o["stop"] == 1:
        return row
    while run.step < STEPS:
        run.make_step()
    return {**row, "result": flatten(run.finish(), run.optimizer.weak)}


def main():
    torch.set_grad_enabled(True)
    rows = []
    for options in CASES:
        rows.append(make_case(options))
        print(options, sum(rows[-1]["mask"]), "of", len(rows[-1]["mask"]), sum(v == 0 for v in rows[-1].get("result", [])))
    text = ",\n".join(json.dumps(row) for row in rows)
    (HERE / "reference.json").write_text(f"[{text}]\n")


if __name__ == "__main__":
    main()
