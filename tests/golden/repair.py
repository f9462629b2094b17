"""Numbers for tests/mpi/repair_golden.c: `python3 repair.py > repair.h`.

Every fit is a least-squares problem on the samples themselves (ridge rows appended, the mean taken
off by hand), in double; no second moments are formed."""

import textwrap

import numpy as np

SIZES, SAMPLES, BATCH, RIDGE = [6, 9, 8, 3], 96, 8, 0.1
KEPT = [[0, 2, 3, 5, 6, 8], [1, 2, 4, 5, 7]]


def ridge_fit(x, y, ridge):
    """argmin_w mean |y - x w|^2 + ridge mean(diag(x'x / n)) |w|^2 for centred x and y."""
    rows = np.sqrt(ridge * (x**2).sum() / x.shape[1]) * np.eye(x.shape[1])
    left, right = np.vstack([x, rows]), np.vstack([y, np.zeros((x.shape[1], y.shape[1]))])
    return np.linalg.lstsq(left, right, rcond=None)[0].T


def centred(a):
    return a - a.mean(0)


def forward(weights, biases, pixels):
    """Pre-activations and activations of every layer; the input is the first activation."""
    x, before, after = (pixels / 255.0 - 0.5) / 0.25, [], []
    for w, b in zip(weights, biases):
        before.append(x @ w.T + b)
        x = np.tanh(before[-1])
        after.append(x)
    return before, after


def cut(weights, biases):
    rows = KEPT + [list(range(SIZES[-1]))]
    columns = [list(range(SIZES[0]))] + KEPT
    return [w[np.ix_(r, c)] for w, r, c in zip(weights, rows, columns)], [
        b[r] for b, r in zip(biases, rows)
    ]


def least_squares(weights, biases, pixels):
    before, after = forward(weights, biases, pixels)
    rows, (fitted, bias) = KEPT + [list(range(SIZES[-1]))], cut(weights, biases)
    for layer in (1, 2):
        x, y = after[layer - 1][:, KEPT[layer - 1]], before[layer][:, rows[layer]]
        fitted[layer] = ridge_fit(centred(x), centred(y), RIDGE)
        bias[layer] = y.mean(0) - fitted[layer] @ x.mean(0)
    return fitted, bias


def choose(x, y, start, held):
    """Ridge and step of the correction with the least error on the held-out samples."""
    fit_x, fit_y, x, y = centred(x[~held]), centred(y[~held]), centred(x[held]), centred(y[held])
    tries = [(((y - x @ start.T) ** 2).sum(), 0.0, 0.0)]
    for ridge in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        change = ridge_fit(fit_x, fit_y - fit_x @ start.T, ridge)
        for step in (1.0, 0.7, 0.4):
            tries.append((((y - x @ (start + step * change).T) ** 2).sum(), ridge, step))
    errors = sorted(t[0] for t in tries)
    assert errors[1] > errors[0] * 1.001, "the choice hangs on rounding"
    best = min(tries)
    return best[1], best[2], tries[0][0] / (y**2).sum(), best[0] / (y**2).sum()


def sequential(weights, biases, pixels):
    before, _ = forward(weights, biases, pixels)
    rows, held = KEPT + [list(range(SIZES[-1]))], np.arange(SAMPLES) // BATCH % 8 == 7
    fitted, bias = least_squares(weights, biases, pixels)
    chosen = []
    for layer in (1, 2):
        x, y = forward(fitted, bias, pixels)[1][layer - 1], before[layer][:, rows[layer]]
        choice = choose(x, y, fitted[layer], held)
        chosen.append(choice)
        if choice[0] > 0:
            rest = centred(y) - centred(x) @ fitted[layer].T
            fitted[layer] = fitted[layer] + choice[1] * ridge_fit(centred(x), rest, choice[0])
        bias[layer] = y.mean(0) - fitted[layer] @ x.mean(0)
    return fitted, bias, chosen


def write(kind, name, values, form):
    items = [form % value for value in np.ravel(values)]
    print(f"static const {kind} {name}[] = {{")
    lines = textwrap.wrap(", ".join(items), 94)
    print("\n".join("    " + line for line in lines) + "};")


random = np.random.default_rng(44)
weights = [np.round(random.normal(size=(o, i)) * 40 / np.sqrt(i)) / 64 for i, o in zip(SIZES, SIZES[1:])]
biases = [np.round(random.normal(size=o) * 20) / 64 for o in SIZES[1:]]
pixels = np.clip(random.normal(128, 40, (SAMPLES, 2)) @ [[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]
                 + random.normal(0, 45, (SAMPLES, 6)), 0, 255).astype(np.uint8)

print("/* Written by repair.py. */")
print("#ifndef ESPALIER_TESTS_GOLDEN_REPAIR_H\n#define ESPALIER_TESTS_GOLDEN_REPAIR_H\n")
print("#include <stdint.h>\n")
print(f"enum {{ golden_samples = {SAMPLES}, golden_batch = {BATCH} }};")
print(f"#define GOLDEN_RIDGE {RIDGE}")
write("int64_t", "golden_sizes", SIZES, "%d")
write("int64_t", "golden_kept_0", KEPT[0], "%d")
write("int64_t", "golden_kept_1", KEPT[1], "%d")
write("uint8_t", "golden_pixels", pixels, "%d")
for layer in range(3):
    write("float", f"golden_weight_{layer}", weights[layer], "%.9g")
    write("float", f"golden_bias_{layer}", biases[layer], "%.9g")
fits = {"least_squares": least_squares(weights, biases, pixels)}
*fits["sequential"], chosen = sequential(weights, biases, pixels)
for name, (weight, bias) in fits.items():
    for layer in (1, 2):
        write("double", f"{name}_weight_{layer}", weight[layer], "%.12g")
        write("double", f"{name}_bias_{layer}", bias[layer], "%.12g")
print("/* Per site: ridge, step, held-out error before and after. */")
write("double", "sequential_choice", chosen, "%.12g")
print("\n#endif")
