"""Figures of report.py about the runs themselves: times, memory, traffic, scaling. Each returns a figure, or None without data."""
import collections
import statistics

from figures import (GREY, INK, REPAIRS, accent, group, make_axes, order, plain_log, put_legend, selections_of, set_ticks)

PHASES = ('read', 'collect', 'joint counts', 'select', 'stability', 'cut', 'repair', 'recover', 'write')
PHASE_COLOURS = ('#c8d3de', '#30475e', '#5b8fb9', '#f2b880', '#b58bc2', '#9c6b4f', '#7fa883', '#c9a400', '#d8a7b1')
COLLECTIVES = ('allreduce', 'iallreduce', 'exchange', 'bcast', 'gather', 'reduce_scatter', 'allgather', 'agreement', 'control')
COLLECTIVE_COLOURS = ('#30475e', '#5b8fb9', '#f2b880', '#7fa883', '#b58bc2', '#d1495b', '#edae49', '#9c6b4f', '#c8d3de')
MIB = 2 ** 20


def pick(name, names, colours):
    return colours[names.index(name)] if name in names else '#b0b0b0'


def phase_names(runs):
    return order((phase for run in runs for phase in run['phases']), PHASES)


def group_jobs(runs):
    """[(label, runs)] of the same selection rule, repair and rank count."""
    selections, repairs = selections_of(runs), order((run['repair'] for run in runs), REPAIRS)
    groups = sorted(group(runs, 'selection', 'repair', 'ranks').items(),
                    key=lambda item: (selections.index(item[0][0]), repairs.index(item[0][1]), item[0][2]))
    return [(f'{selection}, {repair}, {ranks} rank{"s" if ranks > 1 else ""}', same)
            for (selection, repair, ranks), same in groups]


def label_rows(panel, groups):
    panel.set_yticks(range(len(groups)), [label for label, _ in groups], color=INK)
    panel.set_ylim(len(groups) - 0.4, -0.6)
    panel.grid(False, axis='y')


def draw_bars(panel, groups, names, measure, colour):
    """Stacked bars, one a group: the mean over its runs of measure(run, name)."""
    starts = [0.0] * len(groups)
    for name in names:
        widths = [statistics.mean(measure(run, name) for run in same) for _, same in groups]
        panel.barh(range(len(groups)), widths, 0.72, starts, color=colour(name), label=name, edgecolor='white', linewidth=0.5)
        starts = [start + width for start, width in zip(starts, widths)]
    for i, total in enumerate(starts):
        panel.text(total + 0.01 * max(starts), i, f'{total:.3g}', va='center', fontsize=8.5, color=GREY)
    panel.set_xlim(0, 1.12 * max(starts) or 1)
    label_rows(panel, groups)


def draw_phases(runs):
    groups = group_jobs(runs)
    figure, axes = make_axes(1, 1, 9.5, 1.3 + 0.27 * len(groups))
    draw_bars(axes[0][0], groups, phase_names(runs), lambda run, phase: run['phases'].get(phase, {'max': 0.0})['max'],
              lambda phase: pick(phase, PHASES, PHASE_COLOURS))
    axes[0][0].set_xlabel('seconds of the slowest rank, mean over the runs')
    put_legend(figure, axes)
    return figure


def draw_memory_panel(panel, groups):
    """A mark a rank and run: filled what the program allocated, hollow with the mapped files."""
    for i, (_, same) in enumerate(groups):
        colour = accent(same[0]['selection'])
        for key, face in (('resident', 'none'), ('anonymous', colour)):
            ranks = [size / MIB for run in same for size in run[key].get('ranks') or [run[key]['max']] if run[key]]
            panel.plot(ranks, [i] * len(ranks), 'o', markersize=5, markerfacecolor=face, markeredgecolor=colour, alpha=0.8)
    for face, label in ((GREY, 'allocated'), ('none', 'with mapped files')):
        panel.plot([], [], 'o', markersize=5, markerfacecolor=face, markeredgecolor=GREY, label=label)
    panel.set(title='memory', xlabel='largest of each rank, MiB')
    panel.set_xlim(left=0)
    label_rows(panel, groups)


def draw_memory_and_traffic(runs):
    groups = group_jobs(runs)
    has_traffic = any(run['traffic'] for run in runs)
    figure, axes = make_axes(1, 2 if has_traffic else 1, 11 if has_traffic else 7, 1.5 + 0.27 * len(groups), sharey=True)
    draw_memory_panel(axes[0][0], groups)
    if has_traffic:
        names = order((name for run in runs for name in run['traffic']), COLLECTIVES)
        draw_bars(axes[0][1], groups, names, lambda run, name: run['traffic'].get(name, {'bytes': 0})['bytes'] / MIB,
                  lambda name: pick(name, COLLECTIVES, COLLECTIVE_COLOURS))
        axes[0][1].set(title='traffic', xlabel='of a rank, MiB, mean over ranks and runs')
    put_legend(figure, axes)
    return figure


# Scaling ------------------------------------------------------------------------------------------------------------

def by_ranks(runs, measure):
    """[(ranks, measure)]; of repeated runs the smallest counts."""
    found = collections.defaultdict(list)
    for run in runs:
        found[run['ranks']].append(measure(run))
    return sorted((ranks, min(values)) for ranks, values in found.items())


def seconds_by_ranks(runs, phase):
    chosen = phase_names(runs) if phase is None else [phase]
    return by_ranks(runs, lambda run: sum(run['phases'][name]['max'] for name in chosen if name in run['phases']))


def draw_times(panel, runs, whole):
    ranks, total = zip(*whole)
    panel.plot(ranks, total, '-o', color=INK, linewidth=2.2, markersize=5, label='all')
    panel.plot(ranks, [total[0] * ranks[0] / n for n in ranks], color=GREY, linestyle=(0, (4, 3)), linewidth=1, label='perfect')
    for phase in phase_names(runs):
        points = seconds_by_ranks(runs, phase)
        if max(seconds for _, seconds in points) > 0.02 * max(total):
            panel.plot(*zip(*points), '-o', color=pick(phase, PHASES, PHASE_COLOURS), linewidth=1.8, markersize=4, label=phase)
    panel.set(title='time', ylabel='seconds of the slowest rank', xscale='log', yscale='log')
    plain_log(panel.yaxis)


def draw_scaling(runs):
    whole = seconds_by_ranks(runs, None)
    first, seconds = whole[0]
    efficiency = [(n, 100 * seconds * first / (n * time)) for n, time in whole]
    memory = by_ranks(runs, lambda run: (run['anonymous'] or run['resident'])['max'] / MIB)
    figure, axes = make_axes(1, 3, 12, 3.8, gridspec_kw={'width_ratios': (3, 2, 2)})
    draw_times(axes[0][0], runs, whole)
    for panel, points, title, unit in ((axes[0][1], efficiency, 'efficiency', '% of perfect'),
                                       (axes[0][2], memory, 'memory', 'MiB of the largest rank')):
        panel.plot(*zip(*points), '-o', color=INK, linewidth=2.2, markersize=5)
        panel.set(title=title, ylabel=unit, xscale='log')
        panel.set_ylim(0, 1.15 * max(value for _, value in points))
    axes[0][1].axhline(100, color=GREY, linestyle=(0, (4, 3)), linewidth=1)
    axes[0][1].set_ylim(0, max(115, 1.1 * max(value for _, value in efficiency)))
    for panel in axes[0]:
        panel.set_xlabel('ranks')
        set_ticks(panel.xaxis, [n for n, _ in whole])
    put_legend(figure, axes)
    return figure
