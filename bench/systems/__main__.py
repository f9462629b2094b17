#!/usr/bin/env python3
"""All systems that prune while a network trains, at the same sparsity and the same number of steps, as a Markdown table.

usage: python3 bench/systems [--program build/release/espalier] [--network lenet-300-100] [--sparsities 0.8,0.9,0.95,0.98]
           [--seeds 1,2,3] [--systems NAME,...] [--train OPTIONS] [--rates X,...] [--folder out/systems] [--jobs 1] [--cached]
A network is lenet-300-100 or demo (Fashion-MNIST, from random weights), or bert, llama, gpt2 (tests/models, trained on from
what they are). Of several --rates the one with the best held-out loss of the training data is taken, for each cell.
Every cell is kept in the folder under its options, so that an interrupted run goes on where it stopped. Figures are of the
test data; "nonzero" is a part of the dense network's parameters, "speed" the forward pass beside the dense network's.
"""
import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

from networks import NETWORKS, ROOT, scale_layers
from systems import TICKET_LEVELS, get_options, list_systems, ticket_fraction


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--program', default=ROOT / 'build/release/espalier')
    parser.add_argument('--network', default='lenet-300-100', choices=NETWORKS)
    parser.add_argument('--sparsities', default='0.8,0.9,0.95,0.98')
    parser.add_argument('--seeds', default='1,2,3')
    parser.add_argument('--systems', help='names, with commas; all')
    parser.add_argument('--train', default='', help='options that every training gets')
    parser.add_argument('--rates', default='', help='learning rates to choose from')
    parser.add_argument('--folder', default=ROOT / 'out/systems')
    parser.add_argument('--jobs', type=int, default=1)
    parser.add_argument('--cached', action='store_true', help='make nothing: only what the folder holds')
    return parser.parse_args()


class Cell:
    """One system at one sparsity with one seed."""

    def __init__(self, args, system, sparsity, seed):
        self.args, self.network = args, NETWORKS[args.network]
        self.name, self.granularity = system
        self.sparsity, self.seed = (0.0 if self.name == 'dense' else sparsity), seed
        key = f'{self.network.name} {system} {self.sparsity} {seed} {args.train} {args.rates}'
        self.path = pathlib.Path(args.folder) / f'{hashlib.sha256(key.encode()).hexdigest()[:16]}.json'

    def run(self, *words):
        subprocess.run([str(word) for word in (self.args.program, *words, '--quiet')], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def train(self, folder, source, *options):
        """The path of the best of the rates; by its held-out loss where there is one."""
        best = None
        for i, rate in enumerate(self.args.rates.split(',')):
            path, report = folder / f'rate{i}.h5', folder / 'report.json'
            words = ['--rate', rate] if rate else []
            held_out = ['--hold-out', '8'] if len(self.args.rates.split(',')) > 1 else []
            self.run('train', *source, '--data', self.network.data, '--seed', self.seed, '-o', path, '--json', report,
                     *shlex.split(self.args.train), *words, *held_out, *options)
            loss = json.loads(report.read_text()).get('held_out_loss_nats', 0.0)
            if best is None or loss < best[0]:
                best = (loss, path)
        path = folder / f'trained{time.monotonic_ns()}.h5'
        best[1].rename(path)
        return path

    def make_dense(self, folder):
        return self.train(folder, self.network.source)

    def make_small(self, folder):
        hidden = ','.join(map(str, scale_layers(self.network.layers, 1 - self.sparsity)))
        return self.train(folder, ('--hidden', hidden))

    def make_pruned(self, folder, dense, *options):
        pruned, recovered = folder / 'pruned.h5', folder / 'recovered.h5'
        self.run('prune', dense, '--data', self.network.data, '--sparsity', self.sparsity, *options, '-o', pruned)
        self.run('recover', pruned, '--data', self.network.data, '--seed', self.seed, '-o', recovered,
                 *shlex.split(self.args.train))
        return recovered

    def make_ticket(self, folder, dense):
        level = dense
        for _ in range(TICKET_LEVELS):
            level = self.train(folder, (level,), '--policy', 'tickets', '--prune-fraction', ticket_fraction(self.sparsity))
        return level

    def make_after(self, folder):
        """The systems that begin with a trained dense network."""
        dense = pathlib.Path(self.network.source[0]) if self.network.is_text else self.make_dense(folder)
        if self.name == 'tickets':
            return self.make_ticket(folder, dense)
        if self.granularity == 'weights':
            return self.make_pruned(folder, dense, '--structure', 'unstructured', '--criterion', 'magnitude', '--repair', 'none')
        return self.make_pruned(folder, dense, '--criterion', self.name.split()[0])

    def make_model(self, folder):
        if self.name == 'dense':
            return self.make_dense(folder)
        if self.name == 'small dense':
            return self.make_small(folder)
        if self.name == 'tickets' or 'recovery' in self.name:
            return self.make_after(folder)
        return self.train(folder, self.network.source, *get_options(self.name, self.granularity, self.sparsity))

    def measure(self, path, folder):
        result = folder / 'eval.json'
        self.run('eval', path, '--data', self.network.held_out, '--json', result)
        return json.loads(result.read_text())['results'][0] | {'bytes': path.stat().st_size}

    def load(self):
        if not self.path.exists() and not self.args.cached:
            begun = time.monotonic()
            with tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                row = self.measure(self.make_model(folder), folder)
            partial = self.path.with_suffix('.partial')
            partial.write_text(json.dumps(row | {'seconds': time.monotonic() - begun}, indent=1))
            partial.rename(self.path)
        return json.loads(self.path.read_text()) if self.path.exists() else None


def try_load(cell):
    try:
        return cell.load()
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or '').strip().splitlines()
        print(f'{cell.name} {cell.sparsity} seed {cell.seed}: {lines[-1] if lines else error}', file=sys.stderr)
        return None


def spread(values):
    return f'{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}' if len(values) > 1 else f'{values[0]:.2f}'


def get_speed(row):
    return next(row[key] for key in ('tokens_per_s', 'images_per_s') if key in row)


def describe(system, sparsity, rows, dense):
    quality = [100 * row['accuracy'] if 'accuracy' in row else row['perplexity'] for row in rows]
    nonzero = statistics.mean(row['nonzero_parameters'] for row in rows) / dense['nonzero_parameters']
    kib = statistics.mean(row['bytes'] for row in rows) / 1024
    speed = statistics.median(map(get_speed, rows)) / get_speed(dense)
    cells = [f'{100 * sparsity:g} %', system[0], system[1], spread(quality), f'{100 * nonzero:.1f} %', f'{kib:.0f}',
             f'{speed:.2f}']
    return '| ' + ' | '.join(cells) + ' |'


def main():
    args = arguments()
    pathlib.Path(args.folder).mkdir(parents=True, exist_ok=True)
    systems = [s for s in list_systems(NETWORKS[args.network]) if not args.systems or s[0] in args.systems.split(',')]
    if ('dense', '-') not in systems:
        systems.insert(0, ('dense', '-'))
    sparsities, seeds = [float(s) for s in args.sparsities.split(',')], args.seeds.split(',')
    cells = [Cell(args, system, sparsity, seed) for sparsity in sparsities for system in systems for seed in seeds]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        results = {(cell.sparsity, cell.name, cell.granularity, cell.seed): row
                   for cell, row in zip(cells, pool.map(try_load, cells)) if row}
    dense = results[0.0, 'dense', '-', seeds[0]]
    unit = 'accuracy' if 'accuracy' in dense else 'perplexity'
    print(f'| sparsity | system | granularity | {unit} | nonzero | KiB | speed |\n|---|---|---|---|---|---|---|')
    for sparsity in (0.0, *sparsities):
        for system in systems:
            rows = [results[key] for seed in seeds if (key := (sparsity, *system, seed)) in results]
            if rows and (system[0] == 'dense') == (sparsity == 0.0):
                print(describe(system, sparsity, rows, dense))
    print(f"\n{sum(row['seconds'] for row in results.values()) / 3600:.1f} hours, {len(results)} cells", file=sys.stderr)


if __name__ == '__main__':
    main()
