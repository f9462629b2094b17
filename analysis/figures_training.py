"""Figures of report.py about training: curves, and pruned beside recovered. Each returns a figure, or None without data."""
from figures import (ACCENTS, GREY, METRICS, SPARE, accent, choose_scale, draw_dense, group, make_axes, plt, put_legend, selections_of,
                     set_removed_axis)

MOST_NAMED = 12  # curves that get a colour and a name of their own


def find_points(training, key):
    """[(step, value)...] of the points that have it."""
    return [(point['step'], point[key]) for point in training['curve'] if key in point]


def draw_curve(panel, training, key, style):
    points = find_points(training, key)
    if not points:
        return
    panel.plot(*zip(*points), '-o', markersize=3.5, linewidth=1.6, **style)
    best = [point for point in points if point[0] == training['best_step']]
    if key == 'held_out_loss_nats' and best:
        panel.plot(*zip(*best), 'o', markersize=9, markerfacecolor='none', markeredgecolor=style['color'])


def choose_styles(trainings):
    colours = (*SPARE, *list(ACCENTS.values())[:MOST_NAMED])
    if len(trainings) <= MOST_NAMED:
        return [{'color': colours[i], 'label': training['name']} for i, training in enumerate(trainings)]
    shades = plt.get_cmap('viridis')
    return [{'color': shades(0.9 * i / len(trainings)), 'label': '_'} for i in range(len(trainings))]


def draw_curves(trainings):
    """Training loss and held-out loss by step; a ring at the step whose weights were written."""
    panels = [(key, title) for key, title in (('training_loss_nats', 'training loss'), ('held_out_loss_nats', 'held-out loss'))
              if any(find_points(training, key) for training in trainings)]
    if not panels:
        return None
    figure, axes = make_axes(1, len(panels), 5.4 * len(panels) + 1, 3.8)
    for panel, (key, title) in zip(axes[0], panels):
        for training, style in zip(trainings, choose_styles(trainings)):
            draw_curve(panel, training, key, style)
        panel.set(title=title, xlabel='step', ylabel='nats a target')
    put_legend(figure, axes, 4)
    return figure


def draw_pair(panel, runs, selection, metric):
    """What the cut left, dotted, and what training after it gave, full."""
    factor = METRICS[metric][1]
    for key, line, name in (('quality', ':', 'pruned'), ('recovered', '-', 'recovered')):
        points = sorted((100 * run['removed'], factor * run[key][metric]) for run in runs)
        panel.plot(*zip(*points), line, marker='o', color=accent(selection), linewidth=1.8, markersize=4.5,
                   label=f'{selection}, {name}')


def draw_recovery_panel(panel, runs, metric):
    draw_dense(panel, runs, metric)
    for selection in selections_of(runs):
        draw_pair(panel, [run for run in runs if run['selection'] == selection], selection, metric)
    if metric == 'perplexity':
        choose_scale(panel, [run[key][metric] for run in runs for key in ('quality', 'recovered')])


def draw_recovery(runs, metric):
    runs = [run for run in runs if metric in run['quality'] and metric in run['recovered']]
    if not runs:
        return None
    panels = sorted(group(runs, 'pruned_sites', 'repair').items())
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = make_axes(rows, columns, min(4.4 * columns + 1.2, 12.5), 3.7 * rows)
    for panel, ((sites, repair), here) in zip(axes.flat, panels):
        draw_recovery_panel(panel, here, metric)
        set_removed_axis(panel, runs, here)
        panel.set(title=f'{sites or "nothing"}\nrepair: {repair}', xlabel='prunable parameters removed, %',
                  ylabel=METRICS[metric][0])
    for panel in axes.flat[len(panels):]:
        panel.set_visible(False)
    put_legend(figure, axes, 4 if columns > 1 else 2)
    return figure
