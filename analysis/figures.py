"""Figures of report.py. Each function takes runs (see report.py) and returns a matplotlib figure, or None without data."""
import collections
import statistics

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

INK, GREY, GRID = '#1d2733', '#6b7785', '#e3e7ec'
ACCENTS = {'set-mi': '#1f5fbf', 'set-mi-forward': '#4fb0e8', 'set-mi+codes': '#0f9d8a', 'mi': '#8e5bb5', 'magnitude': '#e07b00',
           'random': '#8a929c', 'activation': '#c2185b', 'wanda': '#7a4a1d', 'flap': '#4c9f38', 'leverage': '#c9a400'}
SPARE = ('#d1495b', '#00798c', '#edae49', '#30638e', '#6a994e')
REPAIRS = ('none', 'bias', 'least-squares', 'sequential')
METRICS = {'accuracy': ('accuracy, %', 100.0), 'perplexity': ('perplexity', 1.0), 'cosine': ('cosine with the dense model', 1.0)}
PHASES = ('read', 'collect', 'joint counts', 'select', 'cut', 'repair', 'write')
PHASE_COLOURS = ('#c8d3de', '#30475e', '#5b8fb9', '#f2b880', '#9c6b4f', '#7fa883', '#d8a7b1')
STYLE = {'font.size': 10, 'axes.edgecolor': '#b5bec8', 'axes.labelcolor': INK, 'text.color': INK, 'xtick.color': GREY,
         'ytick.color': GREY, 'axes.grid': True, 'grid.color': GRID, 'grid.linewidth': 0.8, 'axes.axisbelow': True,
         'axes.spines.top': False, 'axes.spines.right': False, 'axes.titlesize': 10.5, 'axes.titlelocation': 'left',
         'axes.titleweight': 'bold', 'legend.frameon': False, 'figure.facecolor': 'white', 'svg.hashsalt': 'espalier'}
plt.rcParams.update(STYLE)


def accent(criterion):
    return ACCENTS.get(criterion) or SPARE[sum(map(ord, criterion)) % len(SPARE)]


def order(names, known):
    return sorted(set(names), key=lambda name: (known.index(name) if name in known else len(known), name))


def criteria_of(runs):
    return order((run['criterion'] for run in runs), list(ACCENTS))


def group(runs, *keys):
    groups = collections.defaultdict(list)
    for run in runs:
        groups[tuple(run[key] for key in keys)].append(run)
    return groups


def make_axes(rows, columns, width, height, **options):
    return plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout='constrained', **options)


def put_legend(figure, axes, columns=8):
    """One legend for all panels, above them."""
    found = {}
    for panel in axes.flat:
        found.update(reversed(pair) for pair in zip(*panel.get_legend_handles_labels()))
    names = sorted(found, key=lambda name: list(ACCENTS).index(name) if name in ACCENTS else len(ACCENTS))
    figure.legend([found[name] for name in names], names, loc='lower left', bbox_to_anchor=(0, 1), ncols=columns,
                  handlelength=1.6, columnspacing=1.4, borderaxespad=0.4)


def plain_log(axis):
    """Logarithmic with numbers a reader can read."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:.3g}'))
    axis.set_minor_formatter(NullFormatter())


def set_ticks(axis, values):
    axis.set_ticks(sorted(set(values)))
    axis.set_minor_locator(NullLocator())
    plain_log(axis)


# Quality against sparsity -------------------------------------------------------------------------------------------

def draw_quality_line(panel, runs, criterion, metric):
    factor = METRICS[metric][1]
    points = sorted((removed, [factor * run['quality'][metric] for run in same])
                    for (removed,), same in group(runs, 'removed').items())
    x = [100 * removed for removed, _ in points]
    means = [statistics.mean(values) for _, values in points]
    panel.plot(x, means, '-o', color=accent(criterion), label=criterion, markersize=4.5, linewidth=1.8)
    if any(len(values) > 1 for _, values in points):
        panel.vlines(x, [min(v) for _, v in points], [max(v) for _, v in points], color=accent(criterion), linewidth=1, alpha=0.6)


def draw_dense(panel, runs, metric):
    dense = [run['dense'][metric] for run in runs if metric in run['dense']]
    if dense:
        panel.axhline(METRICS[metric][1] * statistics.mean(dense), color=INK, linestyle=(0, (4, 3)), linewidth=1, label='dense')


def set_removed_ticks(panel, runs):
    removed = sorted({100 * run['removed'] for run in runs})
    if len(removed) <= 8:
        panel.set_xticks(removed, [f'{value:.3g}' for value in removed])
    else:
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def choose_scale(panel, values):
    if max(values) > 5 * min(values):
        panel.set_yscale('log')
        plain_log(panel.yaxis)


def draw_quality_panel(panel, runs, metric):
    draw_dense(panel, runs, metric)
    for criterion in reversed(criteria_of(runs)):
        draw_quality_line(panel, [run for run in runs if run['criterion'] == criterion], criterion, metric)
    set_removed_ticks(panel, runs)
    if metric == 'perplexity':
        choose_scale(panel, [run['quality'][metric] for run in runs])


def draw_quality(runs, metric):
    runs = [run for run in runs if metric in run['quality']]
    if not runs:
        return None
    panels = sorted(group(runs, 'pruned_sites', 'repair').items(),
                    key=lambda item: (item[0][0], order((run['repair'] for run in runs), REPAIRS).index(item[0][1])))
    columns = min(3 if len(panels) % 3 == 0 or len(panels) > 4 else 4, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = make_axes(rows, columns, min(3.6 * columns + 1.2, 12.5), 3.7 * rows)
    for panel, ((sites, repair), here) in zip(axes.flat, panels):
        draw_quality_panel(panel, here, metric)
        panel.set(title=f'{sites}, repair: {repair}', xlabel=here[0]['removed_label'])
    for panel in axes.flat[len(panels):]:
        panel.set_visible(False)
    for panel in axes[:, 0]:
        panel.set_ylabel(METRICS[metric][0])
    put_legend(figure, axes, 7 if columns > 1 else 3)
    return figure


# Kept units ---------------------------------------------------------------------------------------------------------

def find_patterns(runs):
    """Runs that keep equally many units of every site share a row: [(label, {site: (kept, units)})]."""
    patterns = collections.defaultdict(list)
    for run in runs:
        patterns[tuple((site['site'], site['kept'], site['units']) for site in run['sites'])].append(run)
    rows = []
    for pattern, same in sorted(patterns.items(), key=lambda item: (item[1][0]['sparsity'], item[1][0]['name'])):
        asked = '/'.join(f'{100 * s:g}' for s in sorted({run['sparsity'] for run in same}))
        who = same[0]['name'] if len(same) == 1 else f'{len(same)} runs'
        rows.append((f'{asked} % asked, {who}', {site: (kept, units) for site, kept, units in pattern}))
    return rows


def depth_of(site):
    tail = site.rpartition('.')[2]
    return int(tail) if tail.isdigit() else 0


def sites_by_kind(runs):
    kinds = collections.defaultdict(set)
    for run in runs:
        for site in run['sites']:
            kinds[site['kind']].add(site['site'])
    return {kind: sorted(sites, key=lambda site: (depth_of(site), site)) for kind, sites in kinds.items()}


def draw_kept_panel(panel, rows, kind, sites, with_numbers):
    shares = [[kept[site][0] / kept[site][1] if site in kept else float('nan') for site in sites] for _, kept in rows]
    image = panel.imshow(shares, aspect='auto', cmap='Blues', vmin=0, vmax=1.15)
    panel.grid(False)
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)
    panel.set(title=kind, xlabel='layer', xticks=range(len(sites)))
    step = max(1, len(sites) // 16)
    panel.set_xticklabels([str(depth_of(site)) if i % step == 0 else '' for i, site in enumerate(sites)])
    for i, (_, kept) in enumerate(rows) if with_numbers else ():
        for j, site in enumerate(sites):
            if site in kept:
                panel.text(j, i, f'{kept[site][0]} of {kept[site][1]}', ha='center', va='center', fontsize=8.5,
                           color='white' if shares[i][j] > 0.6 else INK)
    return image


def draw_kept(runs, most=40):
    rows, kinds = find_patterns(runs)[:most], sites_by_kind(runs)
    widths = [max(2, len(sites)) for sites in kinds.values()]
    total = sum(widths)
    figure, axes = make_axes(1, len(kinds), min(3.5 + 0.95 * total, 13), 1.3 + 0.34 * len(rows), sharey=True,
                             gridspec_kw={'width_ratios': widths})
    for panel, (kind, sites) in zip(axes[0], kinds.items()):
        draw_kept_panel(panel, rows, kind, sites, total <= 9)
    axes[0][0].set_yticks(range(len(rows)), [label for label, _ in rows], color=INK)
    return figure


# Information against depth ------------------------------------------------------------------------------------------

def mean_by_depth(runs, kind, key):
    values = collections.defaultdict(list)
    for run in runs:
        for site in run['sites']:
            if site['kind'] == kind:
                values[depth_of(site['site'])].append(site[key])
    return zip(*sorted((depth, statistics.mean(found)) for depth, found in values.items()))


def choose_sparsity(runs):
    """That with most criteria, the middle one of several."""
    found = collections.defaultdict(set)
    for run in runs:
        found[run['sparsity']].add(run['criterion'])
    most = max(map(len, found.values()))
    best = sorted(sparsity for sparsity, criteria in found.items() if len(criteria) == most)
    return best[len(best) // 2]


def draw_null_level(panel, runs, kind):
    depth, mean = mean_by_depth(runs, kind, 'null_level_nats')
    _, highest = mean_by_depth(runs, kind, 'null_level_max_nats')
    panel.fill_between(depth, mean, highest, color='#c9ced6', alpha=0.7, linewidth=0)
    panel.plot(depth, mean, color=GREY, linestyle=(0, (4, 3)), marker='_', markersize=9, linewidth=1.2,
               label='null level: of noise, mean to highest')


def draw_information_row(panels, runs, kind):
    left, right = panels
    runs = [run for run in runs if any(site['kind'] == kind for site in run['sites'])]
    sparsity = choose_sparsity(runs)
    runs = [run for run in runs if run['sparsity'] == sparsity]
    for criterion in reversed(criteria_of(runs)):
        same = [run for run in runs if run['criterion'] == criterion]
        style = {'color': accent(criterion), 'label': criterion, 'markersize': 4.5, 'linewidth': 1.8}
        left.plot(*mean_by_depth(same, kind, 'information_nats'), '-o', **style)
        depth, kept = mean_by_depth(same, kind, 'information_kept')
        right.plot(depth, [100 * share for share in kept], '-o', **style)
    draw_null_level(left, runs, kind)
    right.axhline(100 * (1 - sparsity), color=GREY, linewidth=1, linestyle=':', label='share of units asked to stay')
    left.set(title=f'{kind}: information a unit', ylabel='nats', xlabel='layer', yscale='log')
    right.set(title=f'{kind}: share kept at {100 * sparsity:g} % sparsity', ylabel='% of the information', xlabel='layer',
              ylim=(0, 104))
    for panel in panels:
        panel.set_xticks(depth[::max(1, len(depth) // 12)])
        panel.margins(x=0.08)


def draw_information(runs):
    kinds = sites_by_kind(runs)
    figure, axes = make_axes(len(kinds), 2, 10.5, 0.9 + 2.9 * len(kinds))
    for panels, kind in zip(axes, kinds):
        draw_information_row(panels, runs, kind)
    put_legend(figure, axes, 5)
    return figure


# Speed --------------------------------------------------------------------------------------------------------------

def draw_speed_points(panel, runs, aside):
    """The median of the runs of one size, and a bar from the slowest to the fastest."""
    points = sorted((100 * of_dense * aside, [run['quality']['speedup'] for run in same])
                    for (of_dense,), same in group(runs, 'of_dense').items())
    x, values = zip(*points)
    colour = accent(runs[0]['criterion'])
    panel.vlines(x, [min(v) for v in values], [max(v) for v in values], color=colour, linewidth=1.2, alpha=0.6)
    panel.plot(x, [statistics.median(v) for v in values], 'o', color=colour, markersize=6, markeredgecolor='white',
               label=runs[0]['criterion'])


def spread_out(shares, ratio):
    """In percent, those that are far enough from the one before for their labels."""
    kept = []
    for share in sorted(set(shares), reverse=True):
        if not kept or share < ratio * kept[-1]:
            kept.append(share)
    return [100 * share for share in kept]


def draw_speed(runs):
    runs = [run for run in runs if 'speedup' in run['quality']]
    if not runs:
        return None
    figure, axes = make_axes(1, 1, 7, 4.2)
    panel = axes[0][0]
    criteria, least = criteria_of(runs), min(min(run['of_dense'] for run in runs), 0.99)
    for i, criterion in enumerate(criteria):
        aside = least ** (0.012 * (i - (len(criteria) - 1) / 2))
        draw_speed_points(panel, [run for run in runs if run['criterion'] == criterion], aside)
    panel.plot([100, 100 * least], [1, 1 / least], color=GREY, linestyle=(0, (4, 3)), linewidth=1, label='as parameters')
    panel.set(xscale='log', yscale='log', xlabel='parameters, % of the dense model', ylabel='speed-up over the dense model')
    set_ticks(panel.xaxis, spread_out([1.0] + [run['of_dense'] for run in runs], least ** 0.07))
    fastest = max(max(run['quality']['speedup'] for run in runs), 1 / least)
    set_ticks(panel.yaxis, [1] + [value for value in (1.2, 1.5, 2, 3, 5, 10, 20, 50) if value <= 1.2 * fastest])
    panel.invert_xaxis()
    put_legend(figure, axes, 5)
    return figure


# Phase times and scaling --------------------------------------------------------------------------------------------

def phase_names(runs):
    return order((phase for run in runs for phase in run['phases']), PHASES)


def phase_colour(phase):
    return PHASE_COLOURS[PHASES.index(phase) % len(PHASE_COLOURS)] if phase in PHASES else '#b0b0b0'


def draw_phases(runs):
    criteria, repairs = criteria_of(runs), order((run['repair'] for run in runs), REPAIRS)
    groups = sorted(group(runs, 'criterion', 'repair', 'ranks').items(),
                    key=lambda item: (criteria.index(item[0][0]), repairs.index(item[0][1]), item[0][2]))
    figure, axes = make_axes(1, 1, 9.5, 1.3 + 0.27 * len(groups))
    panel = axes[0][0]
    starts = [0.0] * len(groups)
    for phase in phase_names(runs):
        widths = [statistics.mean(run['phases'].get(phase, {'max': 0.0})['max'] for run in same) for _, same in groups]
        panel.barh(range(len(groups)), widths, 0.72, starts, color=phase_colour(phase), label=phase, edgecolor='white',
                   linewidth=0.5)
        starts = [start + width for start, width in zip(starts, widths)]
    for i, (_, same) in enumerate(groups):
        panel.text(starts[i] + 0.01 * max(starts), i, f'{starts[i]:.3g} s', va='center', fontsize=8.5, color=GREY)
    labels = [f'{criterion}, {repair}, {ranks} rank{"s" if ranks > 1 else ""}' for (criterion, repair, ranks), _ in groups]
    panel.set_yticks(range(len(groups)), labels, color=INK)
    panel.set(xlabel='seconds of the slowest rank, mean over the runs', ylim=(len(groups) - 0.4, -0.6), xlim=(0, 1.1 * max(starts)))
    panel.grid(False, axis='y')
    put_legend(figure, axes)
    return figure


def seconds_by_ranks(runs, phase):
    """[(ranks, seconds)]; of repeated runs the fastest counts."""
    found = collections.defaultdict(list)
    for run in runs:
        phases = run['phases'] if phase is None else {phase: run['phases'][phase]} if phase in run['phases'] else {}
        found[run['ranks']].append(sum(spread['max'] for spread in phases.values()))
    return sorted((ranks, min(seconds)) for ranks, seconds in found.items())


def draw_scaling(runs):
    whole = seconds_by_ranks(runs, None)
    ranks, total = zip(*whole)
    figure, (axes,) = make_axes(1, 2, 10.5, 4.0, gridspec_kw={'width_ratios': (3, 2)})
    left, right = axes
    left.plot(ranks, total, '-o', color=INK, linewidth=2.2, markersize=5, label='all')
    left.plot(ranks, [total[0] * ranks[0] / n for n in ranks], color=GREY, linestyle=(0, (4, 3)), linewidth=1, label='perfect')
    for phase in phase_names(runs):
        points = seconds_by_ranks(runs, phase)
        if max(seconds for _, seconds in points) > 0.02 * max(total):
            left.plot(*zip(*points), '-o', color=phase_colour(phase), linewidth=1.8, markersize=4, label=phase)
    efficiency = [100 * total[0] * ranks[0] / (n * seconds) for n, seconds in whole]
    right.plot(ranks, efficiency, '-o', color=INK, linewidth=2.2, markersize=5)
    right.axhline(100, color=GREY, linestyle=(0, (4, 3)), linewidth=1)
    left.set(title='time', xlabel='ranks', ylabel='seconds of the slowest rank', xscale='log', yscale='log')
    right.set(title='efficiency', xlabel='ranks', ylabel='% of perfect', xscale='log', ylim=(0, 115))
    plain_log(left.yaxis)
    for panel in axes:
        set_ticks(panel.xaxis, ranks)
    put_legend(figure, axes)
    return figure
