#!/usr/bin/env python3
"""One self-contained HTML page from the reports of `espalier prune` and the results of `espalier eval`.

    report.py NAME.report.json... [--eval EVAL.json...] [--training TRAINED.json...] [-o report.html] [--title TEXT]
              [--pictures FOLDER] [--failed failed.txt]

Warnings; quality against sparsity by criterion, pruned and recovered; training curves; kept units by layer and site, and what was asked and got; information against
depth with the null level; stability beside chance; speed-up against parameters; phase times, memory, traffic; scaling where
the same job was run at several rank counts. The rows of EVAL.json (`espalier eval DENSE PRUNED... --json EVAL.json`) belong to the report with the same output file; without
--eval there is neither quality nor speed. The row of NAME.recovered.h5 is that of what was recovered from NAME.h5. TRAINED.json
is what `espalier train` or `recover --json` wrote, and a page may be of these alone. --pictures writes the figures as PNG too. --failed names the tasks of a sweep that
have no result, one a line, as gather.py writes them. Needs NumPy and matplotlib.
"""
import argparse
import base64
import html
import io
import pathlib
import statistics

import figures
import figures_run
import figures_training
from runs import make_run, read_evaluations, read_training

STYLE = pathlib.Path(__file__).with_name('report.css')


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('reports', nargs='*')
    parser.add_argument('--eval', nargs='*', default=[], action='extend')
    parser.add_argument('--training', nargs='*', default=[], action='extend')
    parser.add_argument('-o', '--output', default='report.html')
    parser.add_argument('--title', default='Espalier: what was pruned')
    parser.add_argument('--pictures')
    parser.add_argument('--failed')
    args = parser.parse_args()
    if not args.reports and not args.training:
        parser.error('expected reports of espalier prune, or --training and results of espalier train or recover; found neither')
    return args


# HTML ---------------------------------------------------------------------------------------------------------------

def embed(figure, title, pictures):
    picture = io.BytesIO()
    figure.savefig(picture, format='svg', metadata={'Date': None}, bbox_inches='tight')
    if pictures:
        name = title.lower().replace(' ', '-').replace(',', '')
        figure.savefig(pathlib.Path(pictures) / f'{name}.png', dpi=110, bbox_inches='tight')
    figures.plt.close(figure)
    data = base64.b64encode(picture.getvalue()).decode()
    return f'<div class="wide"><img alt="{html.escape(title)}" src="data:image/svg+xml;base64,{data}"></div>'


def section(title, text, body):
    return f'<section><h2>{html.escape(title)}</h2><p>{html.escape(text)}</p>{body}</section>'


def table(columns, rows):
    head = ''.join(f'<th>{html.escape(column)}</th>' for column in columns)
    body = ''.join('<tr>' + ''.join(f'<td>{cell}</td>' for cell in row) + '</tr>' for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def name_selection(selection):
    return f'<i style="background:{figures.accent(selection)}"></i>{html.escape(selection)}'


def percent(share, digits=1):
    return '–' if share is None else f'{100 * share:.{digits}f}'.removesuffix('.0') + ' %'


def span(values, show):
    """Lowest to highest, or the one value of all."""
    values = [value for value in values if value is not None]
    found = [show(value) for value in ((min(values), max(values)) if values else ())]
    return '–' if not found else found[0] if found[0] == found[1] else ' to '.join(found)


def show_spread(values, digits):
    if not values:
        return '–'
    spread = f' <small>± {statistics.stdev(values):.{digits}f}</small>' if len(values) > 1 else ''
    return f'{statistics.mean(values):.{digits}f}{spread}'


def show_median(values):
    return f'{statistics.median(values):.2f}' if values else '–'


def metrics_of(runs):
    return [metric for metric in figures.METRICS if any(metric in run['quality'] for run in runs)]


def get_quality(runs, key, factor=1.0):
    return [factor * run['quality'][key] for run in runs if key in run['quality']]


def sort_keys(groups, runs, selection, *rest):
    """Keys with the selection rule at an index, in the figures' order of rules after the keys at rest."""
    selections = figures.selections_of(runs)
    return sorted(groups, key=lambda key: ([key[i] for i in rest], selections.index(key[selection])))


def summary_row(key, runs, metrics):
    sites, repair, sparsity, selection = key
    digits = {'accuracy': 2, 'perplexity': 2, 'cosine': 4, 'r2': 4, 'f1_micro': 2}
    cells = [show_spread(get_quality(runs, metric, figures.METRICS[metric][1]), digits[metric]) for metric in metrics]
    return [html.escape(sites or '–'), percent(sparsity), name_selection(selection), html.escape(repair), *cells,
            show_median(get_quality(runs, 'speedup')), span([run['parameters'] for run in runs], '{:,}'.format),
            span([run['nonzero'] for run in runs], '{:,}'.format), len(runs)]


def make_summary(runs):
    metrics = metrics_of(runs)
    groups = figures.group(runs, 'pruned_sites', 'repair', 'sparsity', 'selection')
    qualities = [figures.METRICS[metric][0] for metric in metrics]
    columns = ['sites', 'asked', 'selection', 'repair', *qualities, 'speed-up', 'parameters', 'not masked', 'runs']
    rows = [summary_row(key, groups[key], metrics) for key in sort_keys(groups, runs, 3, 0, 2, 1)]
    if not any(run['nonzero'] < run['parameters'] for run in runs):
        columns, rows = columns[:-2] + columns[-1:], [row[:-2] + row[-1:] for row in rows]
    return table(columns, rows)


def allocation_row(key, runs):
    sites, sparsity, selection = key
    allocations = [run['allocation'] for run in runs]
    shares = [site['kept'] / site['units'] for run in runs for site in run['sites']]
    unit = next((found['price_unit'] for found in allocations if 'price_unit' in found), '')
    thresholds = span([found.get('price_threshold') for found in allocations], '{:.2e}'.format)
    return [html.escape(sites or '–'), name_selection(selection), html.escape(allocations[0].get('name', '–')), percent(sparsity),
            span([found.get('sparsity_chosen_matrices') for found in allocations], percent),
            span([run['removed'] for run in runs], percent), span([run['removed_model'] for run in runs], percent),
            f'{percent(min(shares), 0)} to {percent(max(shares), 0)}' if shares else '–', f'{thresholds} {html.escape(unit)}']


def make_allocation(runs):
    columns = ['sites', 'selection', 'allocation', 'asked', 'got of chosen matrices', 'of all prunable', 'of the model',
               'kept of a site', 'threshold']
    groups = figures.group(runs, 'pruned_sites', 'sparsity', 'selection')
    return table(columns, [allocation_row(key, groups[key]) for key in sort_keys(groups, runs, 2, 0, 1)])


def list_texts(runs, texts_of, style):
    """Each text once, with the runs that it is of."""
    of = {}
    for run in runs:
        for text in texts_of(run):
            of.setdefault(text, []).append(run['name'])
    items = ''.join(f'<li>{html.escape(text)} <small>{html.escape(name_some(names, len(runs)))}</small></li>'
                    for text, names in of.items())
    return f'<ul class="{style}">{items}</ul>' if of else ''


def make_notes(runs):
    return list_texts(runs, lambda run: [f'not measured: {run["stability_note"]}'] if run['stability_note'] else [], 'notes')


def make_openings(runs):
    return list_texts(runs, lambda run: [run['opens']] if run['opens'] else [], 'notes')


def name_some(names, all_runs, most=4):
    if len(names) == all_runs > 1:
        return 'all runs'
    return ', '.join(names[:most]) + (f' and {len(names) - most} more' if len(names) > most else '')


def phase_row(phase, runs):
    """Of the run in which it took longest."""
    run = max((run for run in runs if phase in run['phases']), key=lambda run: run['phases'][phase]['max'])
    times, peak = run['phases'][phase], run['phase_peaks'].get(phase)
    where = f'{times["max_rank"]} of {run["ranks"]}, {times["max_host"]}' if 'max_host' in times else '–'
    return [html.escape(phase), *(f'{times[key]:.3g}' for key in ('min', 'mean', 'max')), html.escape(where),
            f'{peak["max"] / 2 ** 20:.0f}' if peak else '–', html.escape(run['name'])]


def make_phases(runs):
    columns = ['phase', 'least s', 'mean s', 'most s', 'slowest rank', 'its peak MiB', 'run']
    rows = table(columns, [phase_row(phase, runs) for phase in figures_run.phase_names(runs)])
    return f'<p class="below">Over the ranks of the run in which a phase took longest:</p>{rows}'


def run_row(run):
    seconds = sum(phase['max'] for phase in run['phases'].values())
    stability = '–' if run['stability'] is None else \
        f'{percent(run["stability"])} <small>by chance {percent(run["by_chance"])}</small>'
    return [html.escape(run['name']), name_selection(run['selection']), html.escape(run['repair']), percent(run['sparsity']),
            percent(run['removed']), stability, run['ranks'], f'{seconds:.3g}', f'{run["resident"]["max"] / 2 ** 20:.0f}',
            len(run['warnings']) or '', f'<code>{run["checksum"]}</code>']


def make_runs(runs):
    columns = ['run', 'selection', 'repair', 'asked', 'got', 'stability', 'ranks', 'seconds', 'peak MiB a rank', 'warnings',
               'selection checksum']
    return f'<details><summary>{len(runs)} runs</summary>{table(columns, map(run_row, runs))}</details>'


def make_cards(runs):
    dense = [run['dense'] for run in runs if run['dense']]
    cards = [('family', ', '.join(sorted({run['family'] for run in runs}))),
             ('dense parameters', ', '.join(sorted({f'{run["parameters_dense"]:,}' for run in runs}))),
             ('calibration rows', span([run['samples'] for run in runs], '{:,}'.format)),
             ('bins', span([run['bins'] for run in runs], str)),
             ('runs', str(len(runs)))]
    for metric in metrics_of(runs):
        label, factor = figures.METRICS[metric]
        values = [factor * value for value in {row[metric] for row in dense if metric in row}]
        cards.append((f'dense {label}', show_spread(values, 2)))
    shown = (f'<div><b>{value}</b><span>{html.escape(name)}</span></div>' for name, value in cards)
    return f'<div class="cards">{"".join(shown)}</div>'


def quality_sections(runs):
    text = 'Means over the runs of a selection; the thin bars reach from the lowest run to the highest. Dashed: before pruning. ' \
        'Each panel has its own scale.'
    for metric in metrics_of(runs):
        yield f'Quality against sparsity ({metric})' if len(metrics_of(runs)) > 1 else 'Quality against sparsity', text, \
            figures.draw_quality(runs, metric), None


def recovery_sections(runs):
    text = 'What the cut and its repair left, dotted, and what training after them gave, with the dense model as teacher. Dashed: ' \
        'before pruning.'
    for metric in metrics_of(runs):
        yield f'Pruned and recovered ({metric})' if len(metrics_of(runs)) > 1 else 'Pruned and recovered', text, \
            figures_training.draw_recovery(runs, metric), None


def show_loss(value):
    return '–' if value is None else f'{value:.4f}'


def make_trainings(trainings):
    columns = ['model', 'objective', 'parameters that train', 'steps', 'best step', 'held-out loss before', 'after', 'measured by']
    rows = [[html.escape(one['name']), html.escape(one['objective']), f'{one["trainable"]:,}', f'{one["steps"]} of {one["planned"]}',
             one['best_step'], show_loss(one['before']), show_loss(one['after']), html.escape(one['held_out'] or '–')]
            for one in trainings]
    return table(columns, rows)


def training_sections(trainings):
    if trainings:
        yield 'Training curves', 'Loss by step, nats a target. Training loss is that of the objective, mean over the steps since the ' \
            'point before; held-out loss is that of data that did not train. A ring: the weights that were written.', \
            figures_training.draw_curves(trainings), make_trainings(trainings)


def scaling_sections(runs):
    jobs = [same for same in figures.group(runs, 'job').values() if len({run['ranks'] for run in same}) > 1]
    for same in jobs[:4]:
        checksums = {run['checksum'] for run in same}
        what = f'{same[0]["selection"]}, {same[0]["repair"]}, {100 * same[0]["sparsity"]:g} % sparsity.'
        text = f'{what} The kept units are the same at every rank count ({checksums.pop()}).' if len(checksums) == 1 else \
            f'{what} The kept units DIFFER between the rank counts.'
        yield 'Scaling' if len(jobs) == 1 else f'Scaling of {same[0]["name"]}', text, figures_run.draw_scaling(same), None


def sections(runs, trainings):
    """(title, text, figure or None, HTML below the figure or None)"""
    yield from quality_sections(runs)
    yield from recovery_sections(runs)
    yield from training_sections(trainings)
    if runs:
        yield from run_sections(runs)


def run_sections(runs):
    yield 'Kept units', 'Share of every site\'s units that stay; the darker the more. Runs that keep equally many of every site ' \
        'share a row.', figures.draw_kept(runs), None
    yield 'Asked and got', 'What was asked, and what went: of the matrices of the chosen sites, of all that can be pruned, and of ' \
        'the whole model. Uniform: the same share of every site, up to whole units. Global: one threshold on the price.', None, \
        make_allocation(runs)
    yield 'What opens the results', 'Once espalier export has written them as a folder.', None, make_openings(runs)
    yield 'Information against depth', 'Mutual information between a unit and the preserved units above it, mean over the units of ' \
        'a layer, with the null level: what the same estimate gives for noise. Right: how much of it the kept units hold.', \
        figures.draw_information(runs), None
    yield 'Stability of the selection', 'How much of what one half of the calibration data keeps the other half keeps too, beside ' \
        'what two random choices of as many units share.', figures.draw_stability(runs), make_notes(runs)
    yield 'Doubling of the samples', 'Without data: samples double until the scores move by less than 5 %.', \
        figures.draw_doublings(runs), None
    yield 'Speed-up against parameters', 'Measured by espalier eval: medians, and bars from the slowest run to the fastest. ' \
        'Dashed: if time went down as the parameters do.', figures.draw_speed(runs), None
    yield 'Phase times', 'Of espalier prune; statistics collected before are not counted.', figures_run.draw_phases(runs), \
        make_phases(runs)
    yield 'Memory and traffic', 'A mark a rank: most it has allocated, and most it held with mapped files. Traffic: what a rank hands ' \
        'to allreduces and broadcasts, gives to gathers and gets from exchanges.', figures_run.draw_memory_and_traffic(runs), None
    yield from scaling_sections(runs)
    yield 'Summary', 'Mean and standard deviation over the runs with the same options; of the speed-up the median.', None, \
        make_summary(runs)
    yield 'Runs', 'One line a pruned model.', None, make_runs(runs)


def make_failed(path):
    lines = pathlib.Path(path).read_text(errors='replace').splitlines() if path else []
    return ''.join(f'<li>{html.escape(line)}</li>' for line in lines)


def make_page(args, runs, trainings):
    title, pictures, failed = args.title, args.pictures, make_failed(args.failed)
    warnings = list_texts(runs, lambda run: run['warnings'], 'warnings')
    parts = [f'<h1>{html.escape(title)}</h1>'] + ([make_cards(runs)] if runs else [])
    parts += [section('Warnings', 'What the reports say against themselves.', warnings)] if warnings else []
    parts += [section('Failed tasks', 'They have no result, so no figure shows them.', f'<ul class="warnings">{failed}</ul>')] \
        if failed else []
    parts += [section(name, text, (embed(figure, name, pictures) if figure else '') + (below or ''))
              for name, text, figure, below in sections(runs, trainings) if figure or below]
    style = STYLE.read_text()
    return (f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f'<title>{html.escape(title)}</title><style>{style}</style></head><body><main>{"".join(parts)}</main></body></html>\n')


def main():
    args = arguments()
    evaluations = read_evaluations(args.eval)
    runs = [make_run(path, evaluations) for path in args.reports]
    figures.assign_accents(runs)
    if args.pictures:
        pathlib.Path(args.pictures).mkdir(parents=True, exist_ok=True)
    trainings = [run['training'] for run in runs if run['training']] + [read_training(path) for path in args.training]
    pathlib.Path(args.output).write_text(make_page(args, runs, trainings), encoding='utf-8')
    print(f'{args.output}: {len(runs)} runs' + (f', {len(trainings)} trainings' if trainings else ''))


if __name__ == '__main__':
    main()
