"""One figure a model: added loss against remaining parameters, a panel a repair, a curve a criterion."""
import math
import re
import statistics

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import LogLocator, NullFormatter  # noqa: E402

from plan import CRITERIA  # noqa: E402
from tables import Results  # noqa: E402

STYLE = {'svg.fonttype': 'none', 'svg.hashsalt': 'espalier', 'font.size': 9, 'axes.spines.top': False,
         'axes.spines.right': False, 'axes.grid': True, 'grid.color': '#e4e4e4', 'axes.axisbelow': True}
MARKERS = 'osD^vPX*<>hp'


def find_styles(criteria):
    """Colour and marker of each criterion, the same in every figure."""
    colours = plt.get_cmap('tab20').colors
    order = [*range(0, 20, 2), *range(1, 20, 2)]
    return {c: {'color': colours[order[i % 20]], 'marker': MARKERS[i % len(MARKERS)], 'markersize': 4.5,
                'linewidth': 2.2 if i == 0 else 1.1, 'zorder': 4 if i == 0 else 3} for i, c in enumerate(criteria)}


def find_curve(result, model, criterion):
    """(parameters left in percent, mean, spread) of each sparsity, most parameters first."""
    points = []
    for cell, by in result.rows.items():
        if cell[0] == model and criterion in by:
            rows = list(by[criterion].values())
            added = [row['added_nats'] for row in rows]
            left = statistics.mean(100 * row['parameters'] / row['parameters_dense'] for row in rows)
            points.append((left, statistics.mean(added), statistics.pstdev(added)))
    return sorted(points, reverse=True)


def draw_panel(axes, result, model, styles):
    for criterion, style in styles.items():
        points = [point for point in find_curve(result, model, criterion) if point[1] > 0]
        if points:
            left, mean, _ = zip(*points)
            axes.plot(left, mean, label=criterion, **style)
            bars = [[(x, max(m - d, m / 10)), (x, m + d), (x, math.nan)] for x, m, d in points]
            axes.plot(*zip(*sum(bars, [])), color=style['color'], linewidth=0.8)
    axes.set_yscale('log')
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter('{x:g}')
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.invert_xaxis()
    axes.set_xlabel('parameters left, %')


def list_handles(axes):
    """Handles and labels in the order in which the curves end, top to bottom."""
    return zip(*sorted(zip(*axes.get_legend_handles_labels()), key=lambda pair: -pair[0].get_ydata()[-1]))


def draw_model(model, results, styles, path):
    results = {repair: result for repair, result in results.items() if any(cell[0] == model for cell in result.rows)}
    figure, axes = plt.subplots(1, len(results), figsize=(3.6 * len(results) + 1.6, 4.2), sharey=True, squeeze=False)
    for panel, (repair, result) in zip(axes[0], results.items()):
        draw_panel(panel, result, model, styles)
        panel.set_title(f'{model}, repair: {repair}', fontsize=10)
    axes[0][0].set_ylabel('loss added, nats')
    handles, labels = list_handles(max(axes[0], key=lambda panel: len(panel.get_legend_handles_labels()[1])))
    figure.legend(handles, labels, loc='center right', frameon=False)
    figure.tight_layout(rect=(0, 0, 1 - 1.5 / figure.get_figwidth(), 1))
    figure.savefig(path, metadata={'Date': None} if path.suffix == '.svg' else None, dpi=110)
    plt.close(figure)
    if path.suffix == '.svg':
        path.write_text(shorten(path.read_text()))


def shorten(svg):
    """Coordinates to a tenth of a point, which is enough and half the file; what is written stays."""
    def round_all(tag):
        return re.sub(r'\d+\.\d\d+', lambda number: f'{float(number[0]):.1f}', tag[0])
    return re.sub(r'\n\s*', '\n', re.sub(r'<[^>]*>', round_all, svg))


def draw(rows, folder, suffix='.svg'):
    """Write quality-MODEL.svg for each model; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    results = {repair: Results(rows, repair) for repair in dict.fromkeys(row['repair'] for row in rows)}
    styles = find_styles(list(dict.fromkeys([*CRITERIA, *(row['criterion'] for row in rows)])))
    paths = []
    with plt.rc_context(STYLE):
        for model in dict.fromkeys(row['model'] for row in rows):
            paths.append(folder / f'quality-{model}{suffix}')
            draw_model(model, results, styles, paths[-1])
    return paths
