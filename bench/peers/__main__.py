#!/usr/bin/env python3
"""Espalier beside other packages that prune, at equal parameters and the same text, before and after the same training.

usage: python3 bench/peers [--program build/release/espalier] [--models tests/models/llama,...] [--sparsities 0.35,0.5]
           [--rows NAME;...] [--folder out/peers] [--epochs 8] [--untrained] [--cached]
A model is a folder of a Llama with calibration.h5 and heldout.h5. Feed-forward neurons are cut, heads are not. The python
needs torch, transformers, h5py, and the peers that shall be compared: torch-pruning, optipfair, nvidia-modelopt (with requests,
torchprofile==0.0.4); rows of others are left out. All perplexities are PyTorch's; what `espalier eval` says differs by no more
than is printed below the table. Every stage is kept in the folder, so that an interrupted run goes on where it stopped.
"""
import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys

from rows import Peer, list_rows
from tables import print_tables

ROOT = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--program', default=ROOT / 'build/release/espalier')
    parser.add_argument('--models', default='tests/models/llama')
    parser.add_argument('--sparsities', default='0.35,0.5')
    parser.add_argument('--rows', help='names, with semicolons; all')
    parser.add_argument('--folder', default=ROOT / 'out/peers')
    parser.add_argument('--epochs', type=int, default=8, help='of the training; 8 is the default of recover')
    parser.add_argument('--untrained', action='store_true', help='no training')
    parser.add_argument('--cached', action='store_true', help='make nothing: only what the folder holds')
    return parser.parse_args()


def run(words):
    """CPU seconds and peak memory of a process. This one imports nothing large: a child's peak begins with its parent's."""
    with subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True) as process:
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args, stderr=errors)
    return {'seconds': usage.ru_utime + usage.ru_stime, 'peak_kib': usage.ru_maxrss}


class Cell:
    """One row at one sparsity of one model, in a folder: what was pruned, and a JSON file of every stage that is done."""

    def __init__(self, args, model, row, sparsity):
        self.args, self.model, self.row, self.sparsity = args, pathlib.Path(model), row, sparsity
        key = f'{self.model.name} {row and row.name} {sparsity}'
        self.folder = pathlib.Path(args.folder) / hashlib.sha256(key.encode()).hexdigest()[:16]
        self.calibration, self.cut, self.pruned = self.model / 'calibration.h5', self.folder / 'cut', self.folder / 'pruned.h5'

    def espalier(self, *words):
        return run((self.args.program, *words, '--quiet'))

    def work(self, work, **request):
        path = self.folder / 'request.json'
        path.write_text(json.dumps({'work': work, 'dense': str(self.model), 'sparsity': self.sparsity} |
                                   {key: str(value) for key, value in request.items()}))
        usage = run((sys.executable, pathlib.Path(__file__).with_name('work.py'), path))
        return usage | json.loads(path.read_text())

    def measure(self, model):
        return self.work('measure', input=model, data=self.model / 'heldout.h5') | {'eval': self.evaluate(model)}

    def evaluate(self, model):
        """What espalier says of it; None where it does not open it."""
        result = self.folder / 'eval.json'
        try:
            self.espalier('eval', model, '--data', self.model / 'heldout.h5', '--no-speed', '--json', result)
        except subprocess.CalledProcessError:
            return None
        return json.loads(result.read_text())['results'][0]['loss_nats']

    def measure_dense(self):
        return self.measure(self.model)

    def prune(self):
        if isinstance(self.row, Peer):
            usage = self.work('prune', row=self.row.name, data=self.calibration, output=self.cut)
            return self.measure(self.cut) | {'usage': usage}
        usage = self.espalier('prune', self.model, '--data', self.calibration, '--sites', f'ffn={self.sparsity}',
                              *self.row.options, '-o', self.pruned)
        self.espalier('export', self.pruned, self.cut)
        return self.measure(self.cut) | {'usage': usage | {'opening': 'from_pretrained'}}

    def train_by_pytorch(self):
        folder = self.folder / 'pytorch'
        usage = self.work('recover', input=self.cut, data=self.calibration, output=folder, epochs=self.args.epochs)
        return self.measure(folder) | {'usage': usage}

    def train_by_program(self):
        """What espalier pruned itself."""
        recovered, folder = self.folder / 'recovered.h5', self.folder / 'espalier'
        usage = self.espalier('recover', self.pruned, '--data', self.calibration, '--epochs', self.args.epochs, '-o', recovered)
        self.espalier('export', recovered, folder)
        return self.measure(folder) | {'usage': usage}

    def list_stages(self):
        if self.row is None:
            return {'dense': self.measure_dense}
        training = {} if self.args.untrained else {'pytorch': self.train_by_pytorch}
        if not self.args.untrained and not isinstance(self.row, Peer):
            training['espalier'] = self.train_by_program
        return {'cut': self.prune} | training

    def load_stage(self, name, make):
        path = self.folder / f'{name}.json'
        if not path.exists() and not self.args.cached:
            self.folder.mkdir(exist_ok=True)
            partial = path.with_suffix('.partial')
            partial.write_text(json.dumps(make(), indent=1))
            partial.rename(path)
        return json.loads(path.read_text()) if path.exists() else None

    def load(self):
        """By stage; one that fails is told and left out."""
        answers = {}
        try:
            for name, make in self.list_stages().items():
                answers[name] = self.load_stage(name, make)
        except subprocess.CalledProcessError as error:
            lines = (error.stderr or '').strip().splitlines()
            print(f'{self.row.name} {self.sparsity}: {lines[-1] if lines else error}', file=sys.stderr)
        return {name: answer for name, answer in answers.items() if answer}


def choose_rows(args):
    rows = [row for row in list_rows() if not args.rows or row.name in args.rows.split(';')]
    for row in rows:
        if isinstance(row, Peer) and not row.is_there():
            print(f'{row.name}: {row.project} is not installed', file=sys.stderr)
    return [row for row in rows if not isinstance(row, Peer) or row.is_there()]


def main():
    args = arguments()
    os.environ |= {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1'}
    pathlib.Path(args.folder).mkdir(parents=True, exist_ok=True)
    rows = choose_rows(args)
    for model in args.models.split(','):
        dense = Cell(args, model, None, 0.0).load()
        cells = [Cell(args, model, row, float(sparsity)) for sparsity in args.sparsities.split(',') for row in rows]
        results = [(cell.sparsity, cell.row, answer) for cell in cells if 'cut' in (answer := cell.load())]
        print_tables(model, dense['dense'], results)


if __name__ == '__main__':
    main()
