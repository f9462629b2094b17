"""Numbers for tests/unit/set_mi.c: `python3 set_mi.py > set_mi.h`.

Nothing of the C recurrence is used: every set of features is regressed on from the samples by
least squares (ridge rows appended), and each greedy step tries all candidates anew."""

import numpy as np


def residuals(x, y, kept, ridge):
    """Per output: min_w mean (y - x_kept w)^2 + ridge |w|^2."""
    samples = len(x)
    left = np.vstack([x[:, kept] / np.sqrt(samples), np.sqrt(ridge) * np.eye(len(kept))])
    right = np.vstack([y / np.sqrt(samples), np.zeros((len(kept), y.shape[1]))])
    weights = np.linalg.lstsq(left, right, rcond=None)[0] if len(kept) else np.zeros((0, y.shape[1]))
    return ((right - left @ weights) ** 2).sum(0)


def features(units, width):
    return [u * width + k for u in sorted(units) for k in range(width)]


def backward(x, y, width, ridge):
    left, order, score, worst = set(range(x.shape[1] // width)), [], {}, 0.0
    while left:
        base = residuals(x, y, features(left, width), ridge).sum()
        costs = {u: residuals(x, y, features(left - {u}, width), ridge).sum() - base for u in left}
        unit = min(left, key=costs.get)
        worst = max(worst, costs[unit])
        score[unit] = worst
        order.insert(0, unit)
        left.remove(unit)
    return order, [score[u] for u in range(len(order))]


def forward(x, y, width, ridge):
    left, kept, order, score, least = set(range(x.shape[1] // width)), set(), [], {}, np.inf
    while left:
        base = np.log(residuals(x, y, features(kept, width), ridge)).sum()
        gains = {
            u: 0.5 * (base - np.log(residuals(x, y, features(kept | {u}, width), ridge)).sum())
            for u in left
        }
        unit = max(left, key=gains.get)
        least = min(least, gains[unit])
        score[unit] = least
        order.append(unit)
        kept.add(unit)
        left.remove(unit)
    return order, [score[u] for u in range(len(order))]


def write(kind, name, values, form):
    text, line = f"static const {kind} {name}[] = {{", ""
    print(text)
    for value in np.ravel(values):
        item = form % value + ","
        if len(line) + len(item) > 92:
            print("    " + line.rstrip())
            line = ""
        line += item + " "
    print("    " + line.rstrip(" ,") + "};")


def write_case(name, units, width, outputs, seed):
    random = np.random.default_rng(seed)
    samples, size, relative = 200, units * width, 1e-3
    x = random.normal(size=(samples, size)) @ random.normal(size=(size, size))
    x *= np.exp(0.5 * random.normal(size=size))
    x -= x.mean(0)
    weights = random.normal(size=(outputs, size)).astype(np.float32)
    scale = np.exp(0.5 * random.normal(size=outputs))
    covariance = x.T @ x / samples
    ridge = relative * np.trace(covariance) / size
    y = x @ (weights.astype(float) * scale[:, None]).T
    print(f"\nenum {{ {name}_units = {units}, {name}_width = {width}, {name}_outputs = {outputs} }};")
    write("double", f"{name}_covariance", covariance, "%.17g")
    write("float", f"{name}_map", weights, "%.9gf")
    write("double", f"{name}_scale", scale, "%.17g")
    for method in (backward, forward):
        order, score = method(x, y, width, ridge)
        write("int64_t", f"{name}_{method.__name__}_order", order, "%d")
        write("double", f"{name}_{method.__name__}_score", score, "%.12g")


print("/* Written by set_mi.py; relative ridge 1e-3. */")
print("#ifndef ESPALIER_TESTS_GOLDEN_SET_MI_H\n#define ESPALIER_TESTS_GOLDEN_SET_MI_H\n")
print("#include <stdint.h>")
write_case("neurons", 9, 1, 4, 1)
write_case("heads", 5, 3, 5, 8)
print("\n#endif")
