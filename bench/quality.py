#!/usr/bin/env python3
"""Quality of pruned perceptrons: criteria x sparsities x repairs x training seeds, as a table and JSON.

usage: bench/quality.py [--program build/release/espalier] [--config configs/fashion-mnist.yaml]
           [--seeds 1,2,3,4,5] [--criteria ...] [--sparsities ...] [--repairs ...] [--ranks 2]
           [--folder out/quality] [--json FILE]
Trains one model a seed (kept in the folder), collects once a model, prunes and evaluates. Prints mean and
standard deviation over the seeds of the accuracy (percent) and of the loss added to the dense model (nats).
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--program', default=ROOT / 'build/release/espalier')
    parser.add_argument('--config', default=ROOT / 'configs/fashion-mnist.yaml')
    parser.add_argument('--seeds', default='1,2,3,4,5')
    parser.add_argument('--criteria', default='random,magnitude,mi,set-mi-forward,set-mi,set-mi+codes')
    parser.add_argument('--sparsities', default='0.5,0.75,0.9')
    parser.add_argument('--repairs', default='none,least-squares,sequential')
    parser.add_argument('--ranks', default='2')
    parser.add_argument('--folder', default=ROOT / 'out/quality')
    parser.add_argument('--json', default=None)
    return parser.parse_args()


def run(args, *words):
    command = ['mpirun', '-n', args.ranks, str(args.program), *map(str, words), '--config', str(args.config), '-q']
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def prepare(args, seed):
    """The dense model and its statistics, made once."""
    model, stats = (pathlib.Path(args.folder) / f'{seed}.{what}.h5' for what in ('dense', 'stats'))
    if not model.exists():
        run(args, 'train', '--seed', seed, '-o', model)
    if not stats.exists():
        run(args, 'collect', model, '--seed', seed, '-o', stats)
    return model, stats


def prune(args, seed, cell):
    criterion, sparsity, repair = cell
    model, stats = prepare(args, seed)
    output = pathlib.Path(args.folder) / f'{seed}.{criterion}.{sparsity}.{repair}.h5'
    name, _, moments = criterion.partition('+')
    run(args, 'prune', model, '--stats', stats, '--seed', seed, '--criterion', name, '--sparsity', sparsity,
        '--repair', repair, '--moments', moments or 'activations', '-o', output)
    return output


def evaluate(args, models):
    result = pathlib.Path(args.folder) / 'eval.json'
    run(args, 'eval', *models, '--no-speed', '--json', result)
    return json.loads(result.read_text())['results']


def spread(values):
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def main():
    args = arguments()
    pathlib.Path(args.folder).mkdir(parents=True, exist_ok=True)
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    cells = [(c, s, r) for s in args.sparsities.split(',') for r in args.repairs.split(',')
             for c in args.criteria.split(',')]
    table = {cell: {'accuracy': [], 'added_loss_nats': []} for cell in cells}
    dense = []
    for seed in args.seeds.split(','):
        rows = evaluate(args, [prepare(args, seed)[0]] + [prune(args, seed, cell) for cell in cells])
        dense.append(100 * rows[0]['accuracy'])
        for cell, row in zip(cells, rows[1:]):
            table[cell]['accuracy'].append(100 * row['accuracy'])
            table[cell]['added_loss_nats'].append(row['loss_nats'] - rows[0]['loss_nats'])
    print('dense accuracy %.2f +- %.2f over seeds %s' % (*spread(dense), args.seeds))
    print(f"{'sparsity':>8} {'repair':14} {'criterion':16} {'accuracy':>16} {'added loss, nats':>18}")
    for (criterion, sparsity, repair), row in table.items():
        print('%8s %-14s %-16s %8.2f +- %4.2f %9.4f +- %.4f' % (
            sparsity, repair, criterion, *spread(row['accuracy']), *spread(row['added_loss_nats'])))
    if args.json:
        cells_out = [dict(zip(('criterion', 'sparsity', 'repair'), cell), **row) for cell, row in table.items()]
        pathlib.Path(args.json).write_text(json.dumps({'dense_accuracy': dense, 'cells': cells_out}, indent=1))


main()
