"""Runs the program: one collection a model and seed, one JSON file a cell, nothing measured twice."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import threading
import time

from plan import SHARED, CRITERIA, DATA_FREE, ROOT, UNIFORM, find_model, split

FISHER = ['--fisher-tokens', 8192]


def make_key(words):
    """A checksum of options, the same in every checkout."""
    text = ' '.join(map(str, words)).replace(f'{ROOT}/', '')
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def list_options(model, cell, sparsity):
    """What a cell's result hangs on. UNIFORM isn't among them: it goes without saying, as it did in older programs."""
    reads_data = cell.criterion not in DATA_FREE or cell.repair == 'sequential'
    return [*shlex.split(CRITERIA[cell.criterion]), '--seed', cell.seed, '--sparsity', sparsity, '--repair',
            cell.repair, '--no-stability', *(model.prune if reads_data else []), *model.sites]


class Missing(Exception):
    """A cell that --cached finds no result of."""


def describe_origin(program):
    """Where and with which build a result was measured; kept with it."""
    cpu = [line.split(':')[1].strip() for line in open('/proc/cpuinfo') if line.startswith('model name')]
    linked = subprocess.run(['ldd', program], capture_output=True, text=True).stdout
    blas = [os.path.realpath(line.split()[2]) for line in linked.splitlines() if 'libopenblas' in line]
    library = pathlib.Path(blas[0]).name.split('.so')[0].removeprefix('lib') if blas else 'unknown BLAS'
    return {'machine': f"{cpu[0] if cpu else 'unknown processor'}, {os.cpu_count()} cores, {library}",
            'program': hashlib.sha256(pathlib.Path(program).read_bytes()).hexdigest()[:12]}


class Progress:
    """A line every 30 s with the rate and the time left."""

    def __init__(self, total):
        self.total, self.begin = total, time.monotonic()
        self.last = self.begin

    def show(self, n):
        now = time.monotonic()
        if now > self.last + 30:
            rate = n / (now - self.begin)
            left = (self.total - n) / rate / 60
            print(f'{n} of {self.total} cells, {60 * rate:.0f} a minute, {left:.0f} minutes left', file=sys.stderr,
                  flush=True)
            self.last = now


class Bench:
    def __init__(self, args):
        self.args = args
        self.folder = pathlib.Path(args.folder)
        self.models = {(pathlib.Path(name).name, int(seed)): find_model(name, seed, args.networks)
                       for name in split(args.models) for seed in split(args.seeds)}
        self.origin = None if args.cached else describe_origin(args.program)
        self.locks, self.guard = {}, threading.Lock()
        for name in ('models', 'results', 'scratch'):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def run(self, *words):
        command = [*shlex.split(self.args.launcher), self.args.program, *words, '-q']
        done = subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ['no message']
            raise RuntimeError(next((line for line in lines if line.startswith('espalier')), lines[-1]))

    def lock(self, path):
        with self.guard:
            return self.locks.setdefault(path, threading.Lock())

    def once(self, path, *words):
        """Make a file with a command unless it is there; jobs that want the same file wait for it."""
        with self.lock(path):
            if not path.exists():
                self.run(*words, '-o', path)
        return path

    def dense(self, model, seed):
        if model.dense:
            return model.dense
        return self.once(self.folder / 'models' / f'{model.name}.{seed}.h5', 'train', '--seed', seed, *model.collect)

    def name(self, model, seed):
        return f'{model.name}.{seed}.{make_key([model.dense, *model.collect])}'

    def stats(self, model, seed):
        path = self.folder / 'models' / f'{self.name(model, seed)}.stats.h5'
        return self.once(path, 'collect', self.dense(model, seed), '--seed', seed, *FISHER, *model.collect)

    def stats_without_data(self, model, seed):
        path = self.folder / 'models' / f'{self.name(model, seed)}.no-data.h5'
        with self.lock(path):
            if not path.exists():
                self.run('prune', self.dense(model, seed), '--criterion', 'max-entropy', '--repair', 'none', '--keep-stats',
                         '--seed', seed, '-o', path)
        return pathlib.Path(f'{path}.stats.h5')

    def evaluate(self, model, paths, scratch):
        self.run('eval', *paths, *model.eval, '--no-speed', '--json', scratch)
        return json.loads(scratch.read_text())['results']

    def cached(self, name, words, make):
        """The JSON result under a name that holds a checksum of the options it was made with."""
        path = self.folder / 'results' / f'{name}.{make_key(words)}.json'
        with self.lock(path):
            if not path.exists():
                if self.args.cached:
                    raise Missing(f'not measured yet: {name}')
                partial = path.with_suffix('.partial')
                partial.write_text(json.dumps({**make(), **self.origin}, indent=1))
                partial.rename(path)
        return json.loads(path.read_text())

    def measure_dense(self, model, seed):
        scratch = self.folder / 'scratch' / f'{model.name}.{seed}.json'
        seed = seed if model.is_trained_anew else 0
        return self.cached(f'{model.name}.{seed}.dense', model.eval,
                           lambda: self.evaluate(model, [self.dense(model, seed)], scratch)[0])

    def cut(self, model, cell, sparsity, pruned):
        """Write the pruned model; its report."""
        stats = self.stats_without_data if cell.criterion in DATA_FREE else self.stats
        self.run('prune', self.dense(model, cell.seed), '--stats', stats(model, cell.seed),
                 *list_options(model, cell, sparsity), *(() if cell.criterion in SHARED else UNIFORM), '-o', pruned)
        return json.loads(pathlib.Path(f'{pruned}.report.json').read_text())

    def scratch(self, name):
        return self.folder / 'scratch' / f'{name}.h5'

    def clear_scratch(self, name):
        for path in self.folder.glob(f'scratch/{name}.*'):
            path.unlink()

    def cut_uniformly(self, model, cell):
        """What the uniform cut of a cell's sparsity removes; any criterion keeps as many units."""
        cell = cell._replace(criterion='random', repair='none')
        name = f'{model.name}.{cell.seed}.uniform.{cell.sparsity}.cut'

        def make():
            allocation = self.cut(model, cell, cell.sparsity, self.scratch(name))['allocation']
            self.clear_scratch(name)
            return allocation
        return self.cached(name, [*list_options(model, cell, cell.sparsity), *FISHER, *model.collect], make)

    def choose_sparsity(self, model, cell):
        """Nominal, or the fraction of parameters; that in nine digits always, so that no other cell has its key."""
        if cell.criterion not in SHARED:
            return cell.sparsity
        return f"{self.cut_uniformly(model, cell)['sparsity_chosen_matrices']:.9f}"

    def prune(self, model, cell, sparsity):
        name = '.'.join(map(str, cell))
        pruned = self.scratch(name)
        report = self.cut(model, cell, sparsity, pruned)
        if sparsity != cell.sparsity and report['allocation']['name'] == 'uniform':
            report = self.cut(model, cell, cell.sparsity, pruned)
        row = self.evaluate(model, [pruned], pruned.with_name(f'{name}.json'))[0]
        row['calibration'] = {'samples': report['collection']['samples'], 'rows': report['samples']}
        row['allocation'] = report['allocation']['name']
        self.clear_scratch(name)
        return row

    def measure(self, cell):
        """The cell's row: eval's figures, the loss added to dense, and where it was measured."""
        model = self.models[cell.model, cell.seed]
        sparsity = self.choose_sparsity(model, cell)
        row = self.cached('.'.join(map(str, cell)), [*list_options(model, cell, sparsity), *FISHER, *model.collect],
                          lambda: self.prune(model, cell, sparsity))
        dense = self.measure_dense(model, cell.seed)
        figures = {key: row[key] for key in ('loss_nats', 'parameters', 'perplexity', 'accuracy', 'selection_checksum',
                                            'samples', 'calibration') if key in row}
        return {**cell._asdict(), **figures, 'is_trained_anew': model.is_trained_anew,
                'added_nats': row['loss_nats'] - dense['loss_nats'], 'parameters_dense': dense['parameters'],
                'dense': dense.get('perplexity', dense.get('accuracy')), 'context': dense.get('context'),
                'allocation': row.get('allocation', UNIFORM[1]), 'machine': row['machine'], 'program': row['program']}

    def measure_all(self, cells):
        """Rows of the cells that could be measured, and one line for each that couldn't."""
        rows, failures = {}, []
        progress = Progress(len(cells))
        pool = concurrent.futures.ThreadPoolExecutor(self.args.jobs)
        try:
            jobs = {pool.submit(self.measure, cell): cell for cell in cells}
            for n, job in enumerate(concurrent.futures.as_completed(jobs), 1):
                try:
                    rows[jobs[job]] = job.result()
                except (RuntimeError, Missing) as problem:
                    failures.append(f"{' '.join(map(str, jobs[job]))}: {problem}")
                progress.show(n)
        finally:
            pool.shutdown(cancel_futures=True)
        return [rows[cell] for cell in cells if cell in rows], sorted(failures)
