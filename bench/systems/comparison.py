#!/usr/bin/env python3
"""Weights or units: what is lost, stored and gained in speed at the same sparsity, from the same trained model.

usage: python3 bench/systems/comparison.py --network bert|llama|gpt2 --data TEXT.h5 [--program build/release/espalier]
           [--sparsities 0.5,0.7,0.9] [--seeds 1,2,3] [--steps 64] [--batch 8] [--rates X,...] [--folder out/comparison]
           [--cached] [--speed]
TEXT.h5 is the text that the model was trained on: `analysis/models/fetch_data.sh DATA`, then
`analysis/models/more_text.py bert|llama|gpt2 DATA -o TEXT.h5 --samples 2048` (bert: 8192).
Sparsity is the part of the encoder's matrices that is gone. All systems train the same number of steps on the same text, by
distillation from the dense model with --mix of the labels; the weights behind the last step are the result. Of --rates each
system takes the one with the least loss on a part held out, at the middle sparsity with the first seed. The soft threshold has
no sparsity of its own: its penalty is looked for with the first seed, for every sparsity. Cells and the first seed's models stay
in the folder, so that an interrupted run goes on. --speed times these models beside the dense one, alternately, --repeats times:
for a machine that does nothing else.
"""
import argparse
import hashlib
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import encoder
from networks import NETWORKS, ROOT

SYSTEMS = (('magnitude, recovered', 'weights'), ('movement', 'weights'), ('movement, soft', 'weights'),
           ('mi, recovered', 'units'), ('set-mi, recovered', 'units'), ('movement', 'units'), ('gradual', 'units'))
SOFT = 'movement, soft'
PROBES, NEAR = 4, 0.015  # of a penalty: trials a sparsity, and how near is near enough


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--program', default=ROOT / 'build/release/espalier')
    parser.add_argument('--network', default='bert', choices=[n for n in NETWORKS if NETWORKS[n].is_text])
    parser.add_argument('--data', help='text to train on; calibration.h5 of the model')
    parser.add_argument('--sparsities', default='0.5,0.7,0.9')
    parser.add_argument('--seeds', default='1,2,3')
    parser.add_argument('--steps', type=int, default=64)
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--hold-out', type=int, default=32, help='every so many-th micro-batch chooses the rate')
    parser.add_argument('--mix', default='0.1', help='part of the labels')
    parser.add_argument('--score-rate', default='0.1', help='of the soft threshold')
    parser.add_argument('--rates', default='0.0003,0.001')
    parser.add_argument('--folder', type=pathlib.Path, default=ROOT / 'out/comparison')
    parser.add_argument('--minutes', type=float, default=1e9, help='begin no cell after so long: the same command goes on')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--cached', action='store_true', help='make nothing: only what the folder holds')
    parser.add_argument('--speed', action='store_true', help='time what the folder holds')
    return parser.parse_args()


class Missing(Exception):
    """A cell that is not there, and may not be made."""


class Bench:
    """A network, its systems, and the folder of what is known of them."""

    def __init__(self, args):
        self.args, self.network = args, NETWORKS[args.network]
        self.model = pathlib.Path(self.network.source[0])
        self.encoder = encoder.read(self.model)
        self.data = args.data or self.network.data
        self.until = time.monotonic() + 60 * args.minutes
        self.seeds, self.rates = args.seeds.split(','), args.rates.split(',')
        self.sparsities = sorted(map(float, args.sparsities.split(',')))
        self.middle = self.sparsities[len(self.sparsities) // 2]
        settings = f'{args.steps} {args.batch} {args.hold_out} {args.mix} {args.score_rate} {pathlib.Path(self.data).name}'
        self.folder = args.folder / f'{args.network}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}'
        self.folder.mkdir(parents=True, exist_ok=True)

    def run(self, *words):
        done = subprocess.run([str(word) for word in (self.args.program, *words, '--quiet')], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f'{" ".join(map(str, words))}\n{done.stderr}')

    def get_path(self, kind, *parts):
        name = '_'.join(str(part).replace(', ', '-') for part in parts)
        return self.folder / f'{name}.{kind}'

    def evaluate(self, path):
        with tempfile.TemporaryDirectory() as name:
            report = pathlib.Path(name) / 'eval.json'
            self.run('eval', path, '--data', self.network.held_out, '--no-speed', '--json', report)
            return json.loads(report.read_text())['results'][0]

    def measure(self, path):
        """Quality and sizes of a model."""
        with tempfile.TemporaryDirectory() as name:
            self.run('export', path, f'{name}/m')
            exported = sum(file.stat().st_size for file in pathlib.Path(name, 'm').glob('*.safetensors'))
        row = self.evaluate(path)
        return row | {'bytes': path.stat().st_size if path.is_file() else exported, 'exported': exported}

    def remember(self, path, make):
        if not path.exists():
            if self.args.cached:
                raise Missing(path)
            begun = time.monotonic()
            if begun > self.until:
                sys.exit('time is over: the same command goes on')
            row = make()
            path.with_suffix('.partial').write_text(json.dumps(row | {'seconds': time.monotonic() - begun}, indent=1))
            path.with_suffix('.partial').rename(path)
        return json.loads(path.read_text())

    def get_dense(self):
        return self.remember(self.get_path('json', 'dense'), lambda: self.measure(self.model))

    # The models.

    def prune(self, name, sparsity):
        """The model behind the cut, the same for all seeds."""
        path = self.get_path('h5', 'cut', name, sparsity)
        if not path.exists():
            words = ['prune', self.model, '--data', self.network.data, '-o', path]
            if name.startswith('magnitude'):
                self.run(*words, '--structure', 'unstructured', '--criterion', 'magnitude', '--repair', 'none',
                         '--sparsity', self.encoder.find_part_of_weights(sparsity))
            else:
                most = self.get_dense()['parameters'] - round(sparsity * self.encoder.parameters)
                self.run(*words, '--sites', 'ffn,attention', '--max-parameters', most, '--criterion', name.split(',')[0])
        return path

    def get_training(self, rate, seed):
        args = self.args
        return ['--data', self.data, '--steps', args.steps, '--batch', args.batch, '--rate', rate, '--seed', seed,
                '--mix', args.mix]

    def make_policy(self, name, granularity, sparsity, amount):
        words = ['train', self.model, '--teacher', self.model, '--policy', name.split(',')[0], '--granularity', granularity]
        if name == SOFT:
            return words + ['--threshold', 'soft', '--score-rate', self.args.score_rate, '--penalty', amount]
        find = self.encoder.find_part_of_weights if granularity == 'weights' else self.encoder.find_part_of_units
        return words + ['--final-sparsity', find(sparsity)]

    def begin(self, system, sparsity, amount=None):
        if 'recovered' in system[0]:
            return ['recover', self.prune(system[0], sparsity)]
        return self.make_policy(*system, sparsity, amount)

    def make(self, system, sparsity, seed, rate, amount, path):
        with tempfile.TemporaryDirectory() as folder:
            trained = pathlib.Path(folder) / 'trained.h5'
            self.run(*self.begin(system, sparsity, amount), *self.get_training(rate, seed), '--hold-out', 0, '-o', trained)
            row = self.measure(trained)
            if path:
                shutil.move(trained, path)
        return row

    def try_rate(self, system, sparsity, rate):
        """The held-out loss behind the last step, whichever weights are written."""
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder) / 'report.json'
            self.run(*self.begin(system, sparsity), *self.get_training(rate, self.seeds[0]), '--hold-out', self.args.hold_out,
                     '--evaluate-every', self.args.steps, '--patience', 0, '-o', f'{folder}/trained.h5', '--json', report)
            return {'loss': json.loads(report.read_text())['curve'][-1]['held_out_loss_nats']}

    # The cells.

    def get_cell(self, system, sparsity, seed, rate, amount=None):
        parts = (*system, sparsity if amount is None else f'penalty{amount:.6g}', f'seed{seed}', f'rate{rate}')
        kept = self.get_path('h5', *parts) if seed == self.seeds[0] else None
        make = lambda: self.make(system, sparsity, seed, rate, amount, kept)
        return self.remember(self.get_path('json', *parts), make) | {'model': str(kept)}

    def get_sparsity(self, row):
        return (self.get_dense()['nonzero_parameters'] - row['nonzero_parameters']) / self.encoder.parameters

    def find_rate(self, system):
        """The best of the rates; the soft threshold has that of the hard one."""
        system = ('movement', 'weights') if system[0] == SOFT else system

        def load(rate):
            path = self.get_path('json', 'rate', *system, self.middle, rate)
            return self.remember(path, lambda: self.try_rate(system, self.middle, rate))['loss']
        return min(self.rates, key=load) if len(self.rates) > 1 else self.rates[0]

    def find_penalty(self, sparsity, rate):
        """By what is known of penalties, between the two that lie around the sparsity."""
        path = self.get_path('probes', SOFT, rate)
        known = json.loads(path.read_text()) if path.exists() else []
        for _ in range(PROBES):
            penalty = encoder.suggest(known, sparsity)
            if known and (self.args.cached or penalty is None or min(abs(s - sparsity) for s, _ in known) <= NEAR):
                break
            row = self.get_cell((SOFT, 'weights'), sparsity, self.seeds[0], rate, penalty)
            known.append((self.get_sparsity(row), penalty))
            path.write_text(json.dumps(known))
        if not known:
            raise Missing(path)
        return min(known, key=lambda pair: abs(pair[0] - sparsity))[1]

    def get_rows(self, system, sparsity, seeds):
        """One a seed, without what is missing."""
        rows = []
        for seed in seeds:
            try:
                rate = self.find_rate(system)
                penalty = self.find_penalty(sparsity, rate) if system[0] == SOFT else None
                rows.append(self.get_cell(system, sparsity, seed, rate, penalty) | {'rate': rate, 'penalty': penalty})
            except Missing:
                pass
        return rows

    def fill(self):
        for seed in self.seeds:
            for sparsity in sorted(self.sparsities, key=lambda s: abs(s - self.middle)):
                for system in SYSTEMS:
                    self.get_rows(system, sparsity, [seed])

    # Speed.

    def time_models(self):
        """Medians over the repeats of the speed-up over the dense model, each a median of alternate passes."""
        models = {row['model'] for s in self.sparsities for system in SYSTEMS for row in self.get_rows(system, s, self.seeds[:1])}
        models = sorted(model for model in models if pathlib.Path(model).exists())
        tries = {pathlib.Path(model).name: [] for model in models}
        for _ in range(self.args.repeats):
            with tempfile.TemporaryDirectory() as name:
                report = pathlib.Path(name) / 'eval.json'
                self.run('eval', self.model, *models, '--data', self.network.data, '--json', report)
                rows = json.loads(report.read_text())['results'][1:]
            for name, row in zip(tries, rows):
                tries[name].append(row['speedup'])
        medians = {name: statistics.median(found) for name, found in tries.items()}
        self.get_path('json', 'speed').write_text(json.dumps(medians, indent=1))

    # The table.

    def describe(self, system, sparsity, rows, speeds):
        quality = [100 * row['accuracy'] if 'accuracy' in row else row['perplexity'] for row in rows]
        spread = f' ± {statistics.stdev(quality):.2f}' if len(quality) > 1 else ''
        speed = speeds.get(pathlib.Path(rows[0]['model']).name)
        cells = [f'{100 * sparsity:g} %', *system, rows[0]['rate'], f'{statistics.mean(quality):.2f}{spread}',
                 f'{100 * statistics.mean(map(self.get_sparsity, rows)):.1f} %', *self.describe_sizes(rows),
                 f'{speed:.2f}' if speed else '-']
        return '| ' + ' | '.join(cells) + ' |'

    def describe_sizes(self, rows):
        return [f'{statistics.mean(row[key] for row in rows) / 1024:.0f}' for key in ('bytes', 'exported')]

    def print_table(self):
        dense, path = self.get_dense(), self.get_path('json', 'speed')
        speeds = json.loads(path.read_text()) if path.exists() else {}
        quality = f"{100 * dense['accuracy']:.2f}" if 'accuracy' in dense else f"{dense['perplexity']:.2f}"
        unit = 'accuracy' if 'accuracy' in dense else 'perplexity'
        print(f'| sparsity | system | granularity | rate | {unit} | gone | KiB | exported, KiB | speed |\n' + '|---' * 9 + '|')
        print(f"| 0 % | dense | - | - | {quality} | 0.0 % | - | {dense['exported'] / 1024:.0f} | 1.00 |")
        for sparsity in self.sparsities:
            for system in SYSTEMS:
                rows = self.get_rows(system, sparsity, self.seeds)
                print(self.describe(system, sparsity, rows, speeds) if rows else f'{system} at {sparsity}: not made',
                      file=sys.stdout if rows else sys.stderr)


def main():
    args = arguments()
    bench = Bench(args)
    if not args.cached and not args.speed:
        bench.fill()
    args.cached = True
    try:
        if args.speed:
            bench.time_models()
        bench.print_table()
    except Missing as missing:
        sys.exit(f'{missing} is not there: make it without --cached and --speed')


if __name__ == '__main__':
    main()
