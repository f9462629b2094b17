#!/usr/bin/env python3
"""One self-contained HTML page from the reports of `espalier prune` and the results of `espalier eval`.

    report.py NAME.report.json... [--eval EVAL.json...] [-o report.html] [--title TEXT] [--pictures FOLDER]

Kept units by layer and site, information against depth with the null level, quality against sparsity by criterion,
speed-up against parameters, phase times; scaling where the same job was run at several rank counts. The rows of
EVAL.json (`espalier eval DENSE PRUNED... --json EVAL.json`) belong to the report with the same output file; without
--eval there is neither quality nor speed. --pictures writes the figures as PNG too. Needs NumPy and matplotlib.
"""
import argparse
import base64
import html
import io
import json
import pathlib
import statistics
import sys

import figures

STYLE = pathlib.Path(__file__).with_name('report.css')


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('reports', nargs='+')
    parser.add_argument('--eval', nargs='*', default=[], action='extend')
    parser.add_argument('-o', '--output', default='report.html')
    parser.add_argument('--title', default='Espalier: what was pruned')
    parser.add_argument('--pictures')
    return parser.parse_args()


def read_json(path):
    try:
        return json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError) as error:
        sys.exit(f'report: {path}: {error}')


def read_evaluations(paths):
    """{model: (its row, the dense model's row)} by path and by file name."""
    found = {}
    for path in paths:
        results = read_json(path)['results']
        for row in results[1:]:
            found[row['model']] = found[pathlib.Path(row['model']).name] = (row, results[0])
    return found


def job_of(report):
    """What two runs have in common that differ only in the rank count: model, data, and every option but paths."""
    options = {**report['options'], 'run': {'seed': report['options']['run']['seed']}}
    options['prune'] = {key: value for key, value in options['prune'].items() if key != 'stats'}
    return json.dumps([report['collection'], options, bool(report['options']['prune']['stats'])], sort_keys=True)


def describe_removed(report):
    """Which kinds of sites were pruned, and the abscissa of quality: what was asked, or what went where kinds differ."""
    chosen = report['options']['prune'].get('sites')
    if chosen and '=' in chosen:
        removed, label = report['sparsity_prunable'], 'prunable parameters removed, %'
    else:
        removed, label = report['sparsity_asked'], 'units removed, %'
    kinds = sorted({site['kind'] for site in report['sites']})
    return {'removed': round(removed, 3), 'removed_label': label, 'pruned_sites': ' and '.join(kinds)}


def make_run(path, evaluations):
    report = read_json(path)
    missing = {'criterion', 'sites', 'run', 'options'} - set(report)
    if missing:
        sys.exit(f'report: {path} is no report of espalier prune: it has no {", ".join(sorted(missing))}')
    name = pathlib.Path(report['output']).name
    quality, dense = evaluations.get(report['output'], evaluations.get(name, ({}, {})))
    return {'name': name.removesuffix('.h5'), 'family': report['family'], 'repair': report['repair'], 'ranks': report['ranks'],
            'criterion': report['criterion'] + ('+codes' if report['moments'] == 'codes' else ''),
            'sparsity': report['sparsity_asked'], 'parameters': report['parameters'],
            'parameters_dense': report['parameters_dense'], 'of_dense': report['parameters'] / report['parameters_dense'],
            'sites': report['sites'], 'phases': report['run']['phases_s'], 'peak': report['run']['peak_rss_bytes']['max'],
            'checksum': report['selection_checksum'], 'samples': report['samples'], 'job': job_of(report),
            'quality': quality, 'dense': dense, **describe_removed(report)}


# HTML ---------------------------------------------------------------------------------------------------------------

def embed(figure, title, pictures):
    picture = io.BytesIO()
    figure.savefig(picture, format='svg', metadata={'Date': None}, bbox_inches='tight')
    if pictures:
        figure.savefig(pathlib.Path(pictures) / f'{title.lower().replace(" ", "-")}.png', dpi=110, bbox_inches='tight')
    figures.plt.close(figure)
    data = base64.b64encode(picture.getvalue()).decode()
    return f'<img alt="{html.escape(title)}" src="data:image/svg+xml;base64,{data}">'


def section(title, text, body):
    return f'<section><h2>{html.escape(title)}</h2><p>{html.escape(text)}</p>{body}</section>'


def table(columns, rows):
    head = ''.join(f'<th>{html.escape(column)}</th>' for column in columns)
    body = ''.join('<tr>' + ''.join(f'<td>{cell}</td>' for cell in row) + '</tr>' for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def name_criterion(criterion):
    return f'<i style="background:{figures.accent(criterion)}"></i>{html.escape(criterion)}'


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


def summary_row(key, runs, metrics):
    sites, sparsity, criterion, repair = key
    digits = {'accuracy': 2, 'perplexity': 2, 'cosine': 4}
    cells = [show_spread(get_quality(runs, metric, figures.METRICS[metric][1]), digits[metric]) for metric in metrics]
    return [html.escape(sites), f'{100 * sparsity:g} %', name_criterion(criterion), html.escape(repair), *cells,
            show_median(get_quality(runs, 'speedup')), f'{statistics.mean(run["parameters"] for run in runs):,.0f}', len(runs)]


def make_summary(runs):
    metrics = metrics_of(runs)
    groups = figures.group(runs, 'pruned_sites', 'sparsity', 'criterion', 'repair')
    criteria, repairs = figures.criteria_of(runs), figures.order((run['repair'] for run in runs), figures.REPAIRS)
    keys = sorted(groups, key=lambda key: (key[0], key[1], repairs.index(key[3]), criteria.index(key[2])))
    qualities = [figures.METRICS[metric][0] for metric in metrics]
    columns = ['sites', 'sparsity', 'criterion', 'repair', *qualities, 'speed-up', 'parameters', 'runs']
    return table(columns, [summary_row(key, groups[key], metrics) for key in keys])


def make_runs(runs):
    columns = ['run', 'criterion', 'repair', 'sparsity', 'ranks', 'seconds', 'peak MiB a rank', 'selection checksum']
    rows = [[html.escape(run['name']), name_criterion(run['criterion']), html.escape(run['repair']), f'{100 * run["sparsity"]:g} %',
             run['ranks'], f'{sum(phase["max"] for phase in run["phases"].values()):.3g}', f'{run["peak"] / 2 ** 20:.0f}',
             f'<code>{run["checksum"]}</code>'] for run in runs]
    return f'<details><summary>{len(runs)} runs</summary>{table(columns, rows)}</details>'


def make_cards(runs):
    dense = [run['dense'] for run in runs if run['dense']]
    cards = [('family', ', '.join(sorted({run['family'] for run in runs}))),
             ('dense parameters', ', '.join(sorted({f'{run["parameters_dense"]:,}' for run in runs}))),
             ('calibration samples', ', '.join(sorted({f'{run["samples"]:,}' for run in runs}))),
             ('runs', str(len(runs)))]
    for metric in metrics_of(runs):
        label, factor = figures.METRICS[metric]
        values = [factor * value for value in {row[metric] for row in dense if metric in row}]
        cards.append((f'dense {label}', show_spread(values, 2)))
    shown = (f'<div><b>{value}</b><span>{html.escape(name)}</span></div>' for name, value in cards)
    return f'<div class="cards">{"".join(shown)}</div>'


def quality_sections(runs):
    text = 'Means over the runs of a criterion; the thin bars reach from the lowest run to the highest. Dashed: before pruning. ' \
        'Each panel has its own scale.'
    for metric in metrics_of(runs):
        yield f'Quality against sparsity ({metric})' if len(metrics_of(runs)) > 1 else 'Quality against sparsity', text, \
            figures.draw_quality(runs, metric)


def scaling_sections(runs):
    jobs = [same for same in figures.group(runs, 'job').values() if len({run['ranks'] for run in same}) > 1]
    for same in jobs[:4]:
        checksums = {run['checksum'] for run in same}
        what = f'{same[0]["criterion"]}, {same[0]["repair"]}, {100 * same[0]["sparsity"]:g} % sparsity.'
        text = f'{what} The kept units are the same at every rank count ({checksums.pop()}).' if len(checksums) == 1 else \
            f'{what} The kept units DIFFER between the rank counts.'
        yield 'Scaling' if len(jobs) == 1 else f'Scaling of {same[0]["name"]}', text, figures.draw_scaling(same)


def sections(runs):
    yield from quality_sections(runs)
    yield 'Kept units', 'Units kept of every site; the darker the more. Runs that keep equally many of every site share a row.', \
        figures.draw_kept(runs)
    yield 'Information against depth', 'Mutual information between a unit and the preserved units above it, mean over the units of ' \
        'a layer, with the null level: what the same estimate gives for noise. Right: how much of it the kept units hold.', \
        figures.draw_information(runs)
    yield 'Speed-up against parameters', 'Measured by espalier eval: medians, and bars from the slowest run to the fastest. ' \
        'Dashed: if time went down as the parameters do.', figures.draw_speed(runs)
    yield 'Phase times', 'Of espalier prune; statistics collected before are not counted.', figures.draw_phases(runs)
    yield from scaling_sections(runs)


def make_page(title, runs, pictures):
    parts = [f'<h1>{html.escape(title)}</h1>', make_cards(runs)]
    parts += [section(name, text, embed(figure, name, pictures)) for name, text, figure in sections(runs) if figure]
    text = 'Mean and standard deviation over the runs with the same options; of the speed-up the median.'
    parts.append(section('Summary', text, make_summary(runs)))
    parts.append(section('Runs', 'One line a pruned model.', make_runs(runs)))
    style = STYLE.read_text()
    return (f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f'<title>{html.escape(title)}</title><style>{style}</style></head><body><main>{"".join(parts)}</main></body></html>\n')


def main():
    args = arguments()
    evaluations = read_evaluations(args.eval)
    runs = [make_run(path, evaluations) for path in args.reports]
    if args.pictures:
        pathlib.Path(args.pictures).mkdir(parents=True, exist_ok=True)
    pathlib.Path(args.output).write_text(make_page(args.title, runs, args.pictures), encoding='utf-8')
    print(f'{args.output}: {len(runs)} runs')


if __name__ == '__main__':
    main()
