"""Figures of report.py. Each function takes runs (see report.py) and returns a matplotlib figure, or None without data."""
import collections
import statistics

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

INK, GREY, GRID = '#1d2733', '#6b7785', '#e3e7ec'
ACCENTS = {'set-mi': '#1f5fbf', 'set-mi-forward': '#4fb0e8', 'set-mi+codes': '#0f9d8a', 'mi': '#8e5bb5', 'magnitude': '#e07b00',
           'random': '#8a929c', 'activation': '#c2185b', 'wanda': '#7a4a1d', 'flap': '#4c9f38', 'leverage': '#c9a400',
           'set-mi, Fisher': '#0b2a6f', 'set-mi, Fisher, global': '#c0267e', 'set-mi, global': '#00a3c4',
           'max-entropy': '#b45f06', 'wanda, masks': '#b98d63', 'magnitude, masks': '#f4b266', 'block': '#5d4037',
           'block-cosine': '#009688'}
SPARE = ('#d1495b', '#00798c', '#edae49', '#30638e', '#6a994e', '#7d53de', '#3f4a3c')
REPAIRS = ('none', 'bias', 'least-squares', 'sequential')
METRICS = {'accuracy': ('accuracy, %', 100.0), 'perplexity': ('perplexity', 1.0), 'cosine': ('cosine with the dense model', 1.0),
           'r2': ('R2', 1.0), 'f1_micro': ('micro-averaged F1, %', 100.0)}
STYLE = {'font.size': 10, 'axes.edgecolor': '#b5bec8', 'axes.labelcolor': INK, 'text.color': INK, 'xtick.color': GREY,
         'ytick.color': GREY, 'axes.grid': True, 'grid.color': GRID, 'grid.linewidth': 0.8, 'axes.axisbelow': True,
         'axes.spines.top': False, 'axes.spines.right': False, 'axes.titlesize': 10.5, 'axes.titlelocation': 'left',
         'axes.titleweight': 'bold', 'legend.frameon': False, 'figure.facecolor': 'white', 'svg.hashsalt': 'espalier'}
plt.rcParams.update(STYLE)


def assign_accents(runs):
    """Colours for what has none of its own, in order of the names."""
    for name in sorted({run['selection'] for run in runs} - set(ACCENTS)):
        ACCENTS[name] = SPARE[len(ACCENTS) % len(SPARE)]


def accent(selection):
    return ACCENTS[selection]


def order(names, known):
    return sorted(set(names), key=lambda name: (known.index(name) if name in known else len(known), name))


def selections_of(runs):
    return order((run['selection'] for run in runs), list(ACCENTS))


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
    axis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:,.0f}' if value >= 100 else f'{value:.3g}'))
    axis.set_minor_formatter(NullFormatter())


def set_ticks(axis, values):
    axis.set_ticks(sorted(set(values)))
    axis.set_minor_locator(NullLocator())
    plain_log(axis)


# Quality against sparsity -------------------------------------------------------------------------------------------

def draw_quality_line(panel, runs, selection, metric):
    factor = METRICS[metric][1]
    points = sorted((removed, [factor * run['quality'][metric] for run in same])
                    for (removed,), same in group(runs, 'removed').items())
    x = [100 * removed for removed, _ in points]
    means = [statistics.mean(values) for _, values in points]
    panel.plot(x, means, '-o', color=accent(selection), label=selection, markersize=4.5, linewidth=1.8)
    if any(len(values) > 1 for _, values in points):
        panel.vlines(x, [min(v) for _, v in points], [max(v) for _, v in points], color=accent(selection), linewidth=1, alpha=0.6)


def draw_dense(panel, runs, metric):
    dense = [run['dense'][metric] for run in runs if metric in run['dense']]
    if dense:
        panel.axhline(METRICS[metric][1] * statistics.mean(dense), color=INK, linestyle=(0, (4, 3)), linewidth=1, label='dense')


def set_removed_axis(panel, runs, here):
    """The same range in all panels; a tick a point where there is room."""
    every, removed = ({100 * run['removed'] for run in some} for some in (runs, here))
    margin = max(3.0, 0.06 * (max(every) - min(every)))
    panel.set_xlim(min(every) - margin, max(every) + margin)
    gaps = [high - low for low, high in zip(sorted(removed), sorted(removed)[1:])]
    if not gaps or min(gaps) > 0.09 * (max(every) - min(every)):
        panel.set_xticks(sorted(removed), [f'{value:.3g}' for value in sorted(removed)])
    else:
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def choose_scale(panel, values):
    if max(values) > 5 * min(values):
        panel.set_yscale('log')
        plain_log(panel.yaxis)


def draw_quality_panel(panel, runs, metric):
    draw_dense(panel, runs, metric)
    for selection in reversed(selections_of(runs)):
        draw_quality_line(panel, [run for run in runs if run['selection'] == selection], selection, metric)
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
        set_removed_axis(panel, runs, here)
        panel.set(title=f'{sites or "nothing"}\nrepair: {repair}', xlabel='prunable parameters removed, %')
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
        names = selections_of(same)
        who = '; '.join(names) if len(names) <= 3 else f'{len(names)} selections'
        rows.append((f'{asked} % asked: {who}', {site: (kept, units) for site, kept, units in pattern}))
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


def draw_kept_panel(panel, rows, kind, sites, show):
    shares = [[kept[site][0] / kept[site][1] if site in kept else float('nan') for site in sites] for _, kept in rows]
    image = panel.imshow(shares, aspect='auto', cmap='Blues', vmin=0, vmax=1.15)
    panel.grid(False)
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)
    panel.set(title=kind, xlabel='layer', xticks=range(len(sites)))
    step = max(1, len(sites) // 16)
    panel.set_xticklabels([str(depth_of(site)) if i % step == 0 else '' for i, site in enumerate(sites)])
    for i, (_, kept) in enumerate(rows) if show else ():
        for j, site in enumerate(sites):
            if site in kept:
                panel.text(j, i, show(*kept[site]), ha='center', va='center', fontsize=8.5,
                           color='white' if shares[i][j] > 0.6 else INK)
    return image


def choose_numbers(columns):
    """What fits into a cell."""
    if columns <= 9:
        return lambda kept, units: f'{kept:,} of {units:,}' if units < 10 ** 5 else f'{100 * kept / units:.1f} %'
    return (lambda kept, units: f'{100 * kept / units:.0f} %') if columns <= 24 else None


def draw_kept(runs, most=40):
    rows, kinds = find_patterns(runs)[:most], sites_by_kind(runs)
    widths = [max(2, len(sites)) for sites in kinds.values()]
    total = sum(widths)
    figure, axes = make_axes(1, len(kinds), min(3.5 + 0.95 * total, 13), 1.3 + 0.34 * len(rows), sharey=True,
                             gridspec_kw={'width_ratios': widths})
    for panel, (kind, sites) in zip(axes[0], kinds.items()):
        draw_kept_panel(panel, rows, kind, sites, choose_numbers(total))
    axes[0][0].set_yticks(range(len(rows)), [label for label, _ in rows], color=INK)
    return figure


# Information against depth ------------------------------------------------------------------------------------------

def mean_by_depth(runs, kind, key):
    """[depth...], [mean...]; sites without that figure are left out."""
    values = collections.defaultdict(list)
    for run in runs:
        for site in run['sites']:
            if site['kind'] == kind and key in site:
                values[depth_of(site['site'])].append(site[key])
    return [sorted(values), [statistics.mean(values[depth]) for depth in sorted(values)]]


def has(run, kind, key):
    return any(site['kind'] == kind and key in site for site in run['sites'])


def choose_sparsity(runs):
    """That with most selections, the middle one of several."""
    found = collections.defaultdict(set)
    for run in runs:
        found[run['sparsity']].add(run['selection'])
    most = max(map(len, found.values()))
    best = sorted(sparsity for sparsity, selections in found.items() if len(selections) == most)
    return best[len(best) // 2]


def draw_null_level(panel, runs, kind):
    """It falls with the number of samples: one for each. Of runs that measured nothing there is none."""
    groups = sorted(group([run for run in runs if run['samples']], 'samples', 'bins').items())
    for (samples, bins), same in groups:
        depth, mean = mean_by_depth(same, kind, 'null_level_nats')
        what = f' ({samples:,} rows, {bins} bins)' if len(groups) > 1 else ': of noise, mean to highest'
        panel.fill_between(depth, mean, mean_by_depth(same, kind, 'null_level_max_nats')[1], color='#c9ced6', alpha=0.7,
                           linewidth=0)
        panel.plot(depth, mean, color=GREY, linestyle=(0, (4, 3)), marker='_', markersize=9, linewidth=1.2,
                   label=f'null level{what}')


def line_style(selection):
    return {'color': accent(selection), 'label': selection, 'markersize': 4.5, 'linewidth': 1.8}


def draw_units_kept(panel, runs, kind):
    for selection in reversed(selections_of(runs)):
        same = [run for run in runs if run['selection'] == selection]
        depth, share = mean_by_depth([{'sites': [{**site, 'share': site['kept'] / site['units']} for site in run['sites']]}
                                      for run in same], kind, 'share')
        panel.plot(depth, [100 * value for value in share], linestyle=':', linewidth=1.1, color=accent(selection))
    panel.plot([], [], color=GREY, linestyle=':', linewidth=1.1, label='share of units kept')


def set_layers(panels, runs, kind):
    depth = sorted({depth_of(site['site']) for run in runs for site in run['sites'] if site['kind'] == kind})
    for panel in panels:
        panel.set_xticks(depth[::max(1, len(depth) // 12)])
        panel.set_xlabel('layer')
        panel.margins(x=0.08)


def draw_information_row(panels, runs, kind):
    left, right = panels
    runs = [run for run in runs if has(run, kind, 'information_nats')]
    sparsity = choose_sparsity(runs)
    runs = [run for run in runs if run['sparsity'] == sparsity]
    for selection in reversed(selections_of(runs)):
        same = [run for run in runs if run['selection'] == selection]
        left.plot(*mean_by_depth(same, kind, 'information_nats'), '-o', **line_style(selection))
        depth, kept = mean_by_depth(same, kind, 'information_kept')
        right.plot(depth, [100 * share for share in kept], '-o', **line_style(selection))
    draw_null_level(left, runs, kind)
    draw_units_kept(right, runs, kind)
    left.set(title=f'{kind}: information a unit', ylabel='nats', yscale='log')
    right.set(title=f'{kind}: share kept at {100 * sparsity:g} % sparsity', ylabel='% of the information', ylim=(0, 104))
    right.set_visible(any(has(run, kind, 'information_kept') for run in runs))
    set_layers(panels, runs, kind)


def draw_information(runs):
    kinds = [kind for kind in sites_by_kind(runs) if any(has(run, kind, 'information_nats') for run in runs)]
    if not kinds:
        return None
    figure, axes = make_axes(len(kinds), 2, 10.5, 0.9 + 2.9 * len(kinds))
    for panels, kind in zip(axes, kinds):
        draw_information_row(panels, runs, kind)
    put_legend(figure, axes, 5)
    return figure


# Stability ----------------------------------------------------------------------------------------------------------

def draw_stability_panel(panel, runs, kind):
    runs = [run for run in runs if has(run, kind, 'stability')]
    sparsity = choose_sparsity(runs)
    runs = [run for run in runs if run['sparsity'] == sparsity]
    for selection in reversed(selections_of(runs)):
        same = [run for run in runs if run['selection'] == selection]
        depth, agreed = mean_by_depth(same, kind, 'stability')
        panel.plot(depth, [100 * share for share in agreed], '-o', **line_style(selection))
        depth, chance = mean_by_depth(same, kind, 'stability_by_chance')
        panel.plot(depth, [100 * share for share in chance], linestyle='', marker='_', markersize=13, markeredgewidth=2,
                   color=accent(selection))
    panel.plot([], [], linestyle='', marker='_', markersize=13, markeredgewidth=2, color=GREY, label='by chance')
    panel.set(title=f'{kind}, {100 * sparsity:g} % sparsity', ylim=(0, 104))
    set_layers([panel], runs, kind)


def draw_stability(runs):
    kinds = [kind for kind in sites_by_kind(runs) if any(has(run, kind, 'stability') for run in runs)]
    if not kinds:
        return None
    figure, axes = make_axes(1, len(kinds), min(2 + 4 * len(kinds), 12.5), 3.4)
    for panel, kind in zip(axes[0], kinds):
        draw_stability_panel(panel, runs, kind)
    axes[0][0].set_ylabel('% of the units kept by both halves')
    put_legend(figure, axes, 5 if len(kinds) > 1 else 3)
    return figure


def draw_doublings(runs):
    """How far the scores moved as the samples doubled; same runs, same line."""
    lines = {tuple((row['rows'], row['change']) for row in run['doublings'] if 'change' in row) for run in runs} - {()}
    if not lines:
        return None
    figure, axes = make_axes(1, 1, 6, 3)
    panel = axes[0][0]
    for line in sorted(lines):
        rows, changes = zip(*line)
        panel.plot(rows, [100 * change for change in changes], '-o', color=accent('max-entropy'), linewidth=1.8, markersize=4.5)
    panel.axhline(5, color=GREY, linestyle=(0, (4, 3)), linewidth=1, label='here the samples suffice')
    panel.set(xscale='log', xlabel='rows', ylabel='scores moved by, % (median)')
    panel.set_ylim(bottom=0)
    set_ticks(panel.xaxis, {count for line in lines for count, _ in line})
    panel.legend(loc='best')
    return figure


# Speed --------------------------------------------------------------------------------------------------------------

def draw_speed_points(panel, runs, aside):
    """The median of the runs of one size, and a bar from the slowest to the fastest."""
    points = sorted((100 * of_dense * aside, [run['quality']['speedup'] for run in same])
                    for (of_dense,), same in group(runs, 'of_dense').items())
    x, values = zip(*points)
    colour = accent(runs[0]['selection'])
    panel.vlines(x, [min(v) for v in values], [max(v) for v in values], color=colour, linewidth=1.2, alpha=0.6)
    panel.plot(x, [statistics.median(v) for v in values], 'o', color=colour, markersize=6, markeredgecolor='white',
               label=runs[0]['selection'])


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
    selections, least = selections_of(runs), min(min(run['of_dense'] for run in runs), 0.99)
    for i, selection in enumerate(selections):
        aside = least ** (0.012 * (i - (len(selections) - 1) / 2))
        draw_speed_points(panel, [run for run in runs if run['selection'] == selection], aside)
    panel.plot([100, 100 * least], [1, 1 / least], color=GREY, linestyle=(0, (4, 3)), linewidth=1, label='as parameters')
    panel.set(xscale='log', yscale='log', xlabel='parameters, % of the dense model', ylabel='speed-up over the dense model')
    set_ticks(panel.xaxis, spread_out([1.0] + [run['of_dense'] for run in runs], least ** 0.07))
    fastest = max(max(run['quality']['speedup'] for run in runs), 1 / least)
    set_ticks(panel.yaxis, [1] + [value for value in (1.2, 1.5, 2, 3, 5, 10, 20, 50) if value <= 1.2 * fastest])
    panel.invert_xaxis()
    put_legend(figure, axes, 5)
    return figure
