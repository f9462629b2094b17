#!/usr/bin/env python3
"""One table and CSV of a sweep or of a scaling run. Python's standard library is enough.

usage: gather.py SWEEP FOLDER                     table.txt, .md and .csv; failed tasks are named, also in failed.txt
       gather.py --list SWEEP FOLDER              paths of the models that the sweep has made, each with its recovered one
       gather.py --scaling FOLDER REPORT.json...  scaling.txt, .md and .csv

SWEEP has one line a task, its name first. FOLDER holds, of every task that succeeded, NAME.h5 and
NAME.h5.report.json, of every task that began, NAME.log, and eval.*.json of espalier eval. If the sweep recovers, recovers.txt
is there, and NAME.recovered.h5 and NAME.recovered.json of every model that was recovered.
"""
import csv
import importlib.util
import json
import pathlib
import sys

QUALITY = ('accuracy', 'perplexity', 'cosine', 'r2', 'f1_micro')
MEASURES = (*QUALITY, 'loss_nats', 'mean_squared_error')
RECOVERED = {key: f'recovered_{key}' for key in MEASURES}
COLUMNS = ('task', 'criterion', 'metric', 'allocation', 'structure', 'repair', 'sparsity', 'removed',
           *(column for key in MEASURES for column in (key, RECOVERED[key])), 'recovery_steps', 'recovery_seconds',
           'parameters', 'nonzero', 'of_dense', 'speedup', 'stability', 'by_chance', 'warnings', 'ranks', 'seconds', 'peak_MiB',
           'selection_checksum')
TEXTS = ('task', 'criterion', 'metric', 'allocation', 'structure', 'repair', 'phase')
DIGITS = {'removed': 3, 'stability': 3, 'by_chance': 3, 'accuracy': 4, 'perplexity': 3, 'cosine': 5, 'r2': 4, 'f1_micro': 4,
          'mean_squared_error': 4, 'loss_nats': 4, 'of_dense': 3, 'speedup': 2, 'peak_MiB': 1, 'efficiency': 2, 'recovery_seconds': 1}
DIGITS.update({RECOVERED[key]: DIGITS[key] for key in MEASURES})


def read_tasks(sweep):
    lines = [line.split() for line in pathlib.Path(sweep).read_text().splitlines()]
    names = [words[0] for words in lines if words and not words[0].startswith('#')]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        sys.exit(f'gather: {sweep}: tasks of the same name write the same file: {", ".join(twice)}')
    same = sorted(name for name in names if name.removesuffix('.recovered') != name and name.removesuffix('.recovered') in names)
    if same:
        sys.exit(f'gather: {sweep}: the recovered model of another task has the name of: {", ".join(same)}')
    return names


def model_path(folder, task):
    return pathlib.Path(folder) / f'{task}.h5'


def report_path(folder, task):
    return pathlib.Path(folder) / f'{task}.h5.report.json'


def is_done(folder, task):
    return model_path(folder, task).exists() and report_path(folder, task).exists()


def is_recovered(folder, task):
    return is_done(folder, task) and all((pathlib.Path(folder) / f'{task}.recovered.{end}').exists() for end in ('h5', 'json'))


def find_reason(folder, task):
    """Why a task has no result: its last error message (it may have been interrupted before), else what looks like one, else
    the last thing it said."""
    log = pathlib.Path(folder) / f'{task}.log'
    if not log.exists():
        return 'never started'
    lines = [line.strip() for line in log.read_text(errors='replace').splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith('espalier: error:')][-1:] or [line for line in lines if 'error' in line]
    return (errors or lines[-1:] or ['no message; see the log of its job'])[0].removeprefix('espalier: error: ')


def read_evaluations(folder):
    """Rows of espalier eval by the model's file name; the first of each call is the dense model."""
    rows, dense = {}, None
    for path in sorted(pathlib.Path(folder).glob('eval.*.json')):
        results = json.loads(path.read_text())['results']
        dense = dense or results[0]
        rows.update((pathlib.Path(row['model']).name, row) for row in results[1:])
    return rows, dense


def add_quality(row, evaluation):
    for key in (*QUALITY, 'loss_nats', 'mean_squared_error', 'speedup', 'parameters'):
        if key in evaluation:
            row[key] = evaluation[key]
    return row


def describe_choice(report):
    """What differs from the defaults of most sweeps, so that the column is not shown where nothing does."""
    allocation = (report.get('allocation') or {}).get('name', 'uniform')
    said = {'metric': (report.get('metric'), 'outputs'), 'allocation': (allocation, 'uniform'),
            'structure': (report.get('structure'), 'structured')}
    return {key: value for key, (value, default) in said.items() if value not in (None, default)}


def describe_evidence(report):
    row = {'warnings': len(report['warnings'])} if report.get('warnings') else {}
    if report.get('stability') is not None:
        row.update(stability=report['stability'], by_chance=report['stability_by_chance'])
    if 'parameters_unmasked' in report:
        row['nonzero'] = report['parameters_unmasked']
    return row


def describe_task(folder, task, evaluation):
    report = json.loads(report_path(folder, task).read_text())
    run = report['run']
    codes = '+codes' if report['moments'] == 'codes' else ''
    recovered = ', recovered' if 'recovery' in report else ''
    row = {'task': task, 'criterion': report['criterion'] + codes, 'repair': report['repair'] + recovered,
           'sparsity': report['sparsity_asked'], 'removed': report['sparsity_prunable'], 'parameters': report['parameters'],
           'of_dense': report['parameters'] / report['parameters_dense'], 'ranks': report['ranks'],
           'seconds': sum(phase['max'] for phase in run['phases_s'].values()),
           'peak_MiB': run['peak_rss_bytes']['max'] / 2 ** 20, 'selection_checksum': report['selection_checksum']}
    return add_quality({**row, **describe_choice(report), **describe_evidence(report)}, evaluation)


def describe_recovery(folder, task, evaluation):
    """What training after the cut has given; nothing where there was none."""
    if not is_recovered(folder, task):
        return {}
    training = json.loads((pathlib.Path(folder) / f'{task}.recovered.json').read_text())
    row = {'recovery_steps': training['steps'], 'recovery_seconds': sum(phase['max'] for phase in training['run']['phases_s'].values())}
    row.update((RECOVERED[key], evaluation[key]) for key in MEASURES if key in evaluation)
    return row


def describe_dense(evaluation):
    return add_quality({'task': 'dense', 'sparsity': 0.0, 'of_dense': 1.0}, evaluation)


def show(column, value):
    if value is None:
        return '-'
    if column == 'seconds':
        return f'{value:.4g}'
    return f'{value:.{DIGITS[column]}f}' if column in DIGITS else str(value)


def make_cells(columns, rows):
    """The columns that any row has, and the texts of all rows in them."""
    used = [column for column in columns if any(column in row for row in rows)]
    return used, [[show(column, row.get(column)) for column in used] for row in rows]


def format_table(columns, rows):
    used, cells = make_cells(columns, rows)
    cells = [used] + cells
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [' '.join(cell.ljust(width) if column in TEXTS else cell.rjust(width)
                     for column, cell, width in zip(used, line, widths)).rstrip() for line in cells]


def format_markdown(columns, rows):
    used, cells = make_cells(columns, rows)
    rule = ['---' if column in TEXTS else '---:' for column in used]
    return ['| ' + ' | '.join(line) + ' |' for line in [used, rule] + cells]


def write(folder, name, columns, rows, remarks):
    """NAME.csv, NAME.md, NAME.txt and standard output."""
    folder = pathlib.Path(folder)
    with open(folder / f'{name}.csv', 'w', newline='') as file:
        table = csv.DictWriter(file, columns, restval='')
        table.writeheader()
        table.writerows(rows)
    (folder / f'{name}.md').write_text('\n'.join(format_markdown(columns, rows) + [''] + remarks) + '\n')
    text = '\n'.join(format_table(columns, rows) + [''] + remarks) + '\n'
    (folder / f'{name}.txt').write_text(text)
    print(text, end='')


def find_why_no_page(done):
    """What keeps report.py from making a page, as a list of one remark or none."""
    missing = [name for name in ('h5py', 'matplotlib', 'numpy') if importlib.util.find_spec(name) is None]
    if not done:
        return ['no page report.html: no task has a result']
    if missing:
        return [f'no page report.html: {sys.executable} has no {", ".join(missing)}; install what is missing, or name another Python in '
                'ESPALIER_PYTHON']
    return []


def write_failed(folder, failed):
    """failed.txt for the page, one line a task; none where nothing failed."""
    path = pathlib.Path(folder) / 'failed.txt'
    path.unlink(missing_ok=True)
    if failed:
        path.write_text('\n'.join(failed) + '\n')


def gather_sweep(sweep, folder):
    tasks = read_tasks(sweep)
    done = [task for task in tasks if is_done(folder, task)]
    evaluations, dense = read_evaluations(folder)
    rows = [describe_dense(dense)] if dense else []
    rows += [{**describe_task(folder, task, evaluations.get(f'{task}.h5', {})),
              **describe_recovery(folder, task, evaluations.get(f'{task}.recovered.h5', {}))} for task in done]
    failed = [f'{task}: {find_reason(folder, task)}' for task in tasks if task not in done]
    write_failed(folder, failed)
    remarks = [f'{len(done)} of {len(tasks)} tasks succeeded'] + [f'failed: {line}' for line in failed]
    if (pathlib.Path(folder) / 'recovers.txt').exists():
        remarks += [f'not recovered: {task}: {find_reason(folder, task)}' for task in done if not is_recovered(folder, task)]
    made = done + [f'{task}.recovered' for task in done if is_recovered(folder, task)]
    remarks += [f'not evaluated: {task}' for task in made if f'{task}.h5' not in evaluations]
    write(folder, 'table', COLUMNS, rows, remarks + find_why_no_page(done))


def list_models(sweep, folder):
    for task in read_tasks(sweep):
        if is_done(folder, task):
            print(model_path(folder, task))
        if is_recovered(folder, task):
            print(model_path(folder, f'{task}.recovered'))


def scale_phase(phase, runs):
    """Longest rank's seconds by rank count; efficiency relative to the smallest one."""
    first = runs[0]
    for run in runs:
        seconds = run['seconds'][phase]
        perfect = first['seconds'][phase] * first['ranks'] / run['ranks']
        yield {'phase': phase, 'ranks': run['ranks'], 'seconds': seconds, 'efficiency': perfect / seconds if seconds else 1.0,
               'peak_MiB': run['peak_MiB']}


def read_scaling(path):
    report = json.loads(pathlib.Path(path).read_text())
    seconds = {name: phase['max'] for name, phase in report['run']['phases_s'].items()}
    seconds['all'] = sum(seconds.values())
    return {'ranks': report['ranks'], 'seconds': seconds, 'checksum': report['selection_checksum'],
            'peak_MiB': report['run']['peak_rss_bytes']['max'] / 2 ** 20}


def gather_scaling(folder, paths):
    runs = sorted((read_scaling(path) for path in paths), key=lambda run: run['ranks'])
    rows = [row for phase in runs[0]['seconds'] for row in scale_phase(phase, runs)]
    sums = sorted({run['checksum'] for run in runs})
    remark = f'selection checksum {sums[0]} at every rank count' if len(sums) == 1 else f'DIFFERENT selections: {", ".join(sums)}'
    write(folder, 'scaling', ('phase', 'ranks', 'seconds', 'efficiency', 'peak_MiB'), rows, [remark])
    return len(sums) == 1


def main(words):
    if len(words) >= 3 and words[0] == '--scaling':
        sys.exit(0 if gather_scaling(words[1], words[2:]) else 1)
    elif len(words) == 3 and words[0] == '--list':
        list_models(*words[1:])
    elif len(words) == 2 and not words[0].startswith('-'):
        gather_sweep(*words)
    else:
        sys.exit(__doc__.strip())


if __name__ == '__main__':
    main(sys.argv[1:])
