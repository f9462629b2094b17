#!/usr/bin/env python3
"""What training after the cut gives back: models x criteria x sparsities, pruned and recovered, as a Markdown table.

usage: python3 bench/recovery [--program build/release/espalier] [--models tests/models/llama,...]
           [--criteria set-mi,...] [--sparsities 0.2,0.35,0.5,0.75] [--prune OPTIONS] [--recover OPTIONS]
           [--data '{model}/calibration.h5'] [--folder out/recovery]
A model is a folder with calibration.h5 and heldout.h5. The recovery reads --data, where {model} stands for that folder and
{name} for its name (more text: analysis/models/more_text.py). Criteria at equal shape: --prune '--allocation uniform'.
Every cell is kept in the folder under its options, so that an interrupted run goes on where it stopped.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shlex
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ','.join(f'tests/models/{name}' for name in ('llama', 'gpt2', 'bert'))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--program', default=ROOT / 'build/release/espalier')
    parser.add_argument('--models', default=MODELS)
    parser.add_argument('--criteria', default='set-mi')
    parser.add_argument('--sparsities', default='0.2,0.35,0.5,0.75')
    parser.add_argument('--prune', default='', help='options of prune')
    parser.add_argument('--recover', default='', help='options of recover')
    parser.add_argument('--data', default='{model}/calibration.h5', help='of recover')
    parser.add_argument('--folder', default=ROOT / 'out/recovery')
    return parser.parse_args()


class Bench:
    def __init__(self, args):
        self.args, self.folder = args, pathlib.Path(args.folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def run(self, *words):
        subprocess.run([str(word) for word in (self.args.program, *words, '--quiet')], check=True,
                       stdout=subprocess.DEVNULL)

    def stats(self, model):
        path = self.folder / f'{model.name}.stats.h5'
        if not path.exists():
            self.run('collect', model, '--data', model / 'calibration.h5', '-o', path)
        return path

    def evaluate(self, model, *paths):
        result = self.folder / 'eval.json'
        self.run('eval', *paths, '--data', model / 'heldout.h5', '--no-speed', '--json', result)
        return json.loads(result.read_text())['results']

    def make(self, model, criterion, sparsity):
        pruned, recovered = self.folder / 'pruned.h5', self.folder / 'recovered.h5'
        self.run('prune', model, '--stats', self.stats(model), '--criterion', criterion, '--sparsity', sparsity,
                 *shlex.split(self.args.prune), '-o', pruned)
        result = self.folder / 'recover.json'
        self.run('recover', pruned, '--data', self.args.data.format(model=model, name=model.name), *shlex.split(self.args.recover), '-o', recovered,
                 '--json', result)
        training = json.loads(result.read_text())
        return {'rows': self.evaluate(model, model, pruned, recovered), 'best_step': training['best_step'],
                'steps': training['steps'], 'seconds': training['run']['phases_s']['train']['max']}

    def cell(self, model, criterion, sparsity):
        words = f'{model.name} {criterion} {sparsity} {self.args.prune} {self.args.recover} {self.args.data}'
        path = self.folder / f'{model.name}.{hashlib.sha256(words.encode()).hexdigest()[:10]}.json'
        if not path.exists():
            partial = path.with_suffix('.partial')
            partial.write_text(json.dumps(self.make(model, criterion, sparsity), indent=1))
            partial.rename(path)
        return json.loads(path.read_text())


def describe(model, criterion, sparsity, cell):
    dense, pruned, recovered = (row['loss_nats'] for row in cell['rows'])
    added, left = pruned - dense, recovered - dense
    return (f'| {model.name} | {criterion} | {100 * float(sparsity):g} % | {dense:.4f} | {added:+.4f} | {left:+.4f} | '
            f"{100 * (added - left) / added:.0f} % | {cell['best_step']} of {cell['steps']} |")


def main():
    args = arguments()
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    bench = Bench(args)
    print('| model | criterion | sparsity | dense, nats | added by the cut | after recovery | given back | best step |\n'
          '|---|---|---|---|---|---|---|---|')
    for model in map(pathlib.Path, args.models.split(',')):
        for criterion in args.criteria.split(','):
            for sparsity in args.sparsities.split(','):
                print(describe(model, criterion, sparsity, bench.cell(model, criterion, sparsity)), flush=True)


main()
