"""One training of one system, kept in a file under its options."""
import contextlib
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import tempfile
import time

from systems import HELD_OUT, OF_PERCEPTRONS, SHARED, TICKET_KEPT, get_options, get_rate_option


class Failure(Exception):
    """What a command of espalier said."""


class Program:
    """The commands of espalier, and the processor time that they took."""

    def __init__(self, path):
        self.path, self.seconds = path, 0.0

    def run(self, *words):
        with tempfile.TemporaryFile('w+') as errors:
            child = subprocess.Popen([str(word) for word in (self.path, *words, '--quiet')], stdout=subprocess.DEVNULL,
                                     stderr=errors)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            self.seconds += usage.ru_utime + usage.ru_stime
            if child.returncode:
                errors.seek(0)
                raise Failure((errors.read().strip().splitlines() or [f'exit {child.returncode}'])[-1])


class Run:
    """A system at a sparsity (of one whose sparsity is found: with a penalty), with a seed and a rate."""

    def __init__(self, args, network, system, **setting):
        self.args, self.network = args, network
        self.name, self.granularity = system
        self.sparsity, self.seed = setting.get('sparsity', 0.0), setting['seed']
        self.rate, self.penalty = setting.get('rate', ''), setting.get('penalty')
        self.options = get_options(self.name, self.granularity, self.sparsity, self.penalty)
        self.options += [] if network.is_text else OF_PERCEPTRONS.get(tuple(system), [])
        key = json.dumps([network.name, system, self.sparsity, self.seed, self.rate, args.train, len(args.rates) > 1,
                          self.options], default=str)
        self.path = pathlib.Path(args.folder) / f'{hashlib.sha256(key.encode()).hexdigest()[:16]}.json'
        self.program = Program(args.program)

    def again(self, system, **setting):
        """Another run of the same seed; dense networks and tickets have one rate, that of dense networks."""
        rate = self.args.dense_rate if system[0] in ('dense', 'tickets') else self.rate
        return Run(self.args, self.network, system, seed=self.seed, rate=rate, **setting)

    # --- commands

    def train(self, folder, source, *options, rate_option=('--rate', 1.0)):
        return self.make(folder, 'train', source, rate_option, options)

    def make(self, folder, command, source, rate_option, options):
        path = folder / f'{command}{time.monotonic_ns()}.h5'
        name, factor = rate_option
        words = [name, f'{float(self.rate) * factor:g}'] if self.rate else []
        held_out = ['--hold-out', HELD_OUT] if len(self.args.rates) > 1 and '--hold-out' not in options else []
        self.program.run(command, *source, '--data', self.network.data, '--seed', self.seed, '-o', path, '--json',
                         folder / 'report.json', *shlex.split(self.args.train), *words, *held_out, *options)
        return path

    # --- models

    def make_small(self, folder):
        return self.train(folder, ('--hidden', ','.join(map(str, self.network.scale(1 - self.sparsity)))))

    def load_dense(self):
        """The trained network that some systems begin with."""
        if self.network.is_text:
            return pathlib.Path(self.network.source[0])
        dense = self.again(('dense', '-'))
        dense.load()
        return dense.model

    def make_recovered(self, folder):
        pruned = folder / 'pruned.h5'
        options = (('--structure', 'unstructured', '--criterion', 'magnitude', '--repair', 'none')
                   if self.granularity == 'weights' else ('--criterion', self.name.split()[0]))
        self.program.run('prune', self.load_dense(), '--data', self.network.data, '--sparsity', self.sparsity, *options, '-o',
                         pruned)
        return self.make(folder, 'recover', (pruned,), ('--rate', 0.25), ())

    def load_ticket_before(self):
        """The ticket of the level before, and what it has kept."""
        kept = min((part for part in (1.0, *TICKET_KEPT) if part > 1.001 * (1 - self.sparsity)))
        if kept == 1.0:
            return self.load_dense(), kept
        before = self.again(('tickets', self.granularity), sparsity=round(1 - kept, 6))
        before.load()
        return before.model, kept

    def make_ticket(self, folder):
        before, kept = self.load_ticket_before()
        return self.train(folder, (before,), '--policy', 'tickets', '--prune-fraction',
                          f'{1 - (1 - self.sparsity) / kept:.9g}')

    def make_control(self, folder):
        """A random mask that has as many weights of each matrix as a system's."""
        of = self.again((self.name.removeprefix('random as '), self.granularity), sparsity=self.sparsity)
        of.load()
        self.train(folder, self.network.source, '--steps', 1, '--save-step', 0)
        early = next(folder.glob('*.early.h5'))
        return self.train(folder, (of.model,), '--policy', 'tickets', '--prune-fraction', 0, '--control', 'random', '--rewind',
                          early)

    def make_model(self, folder):
        by_name = {'small dense': self.make_small, 'tickets': self.make_ticket}
        if self.name in by_name:
            return by_name[self.name](folder)
        if 'recovery' in self.name:
            return self.make_recovered(folder)
        if self.name.startswith('random as'):
            return self.make_control(folder)
        return self.train(folder, self.network.source, *self.options, rate_option=get_rate_option(self.name))

    # --- results

    @property
    def model(self):
        """Kept of systems that others begin with."""
        return self.path.with_suffix('.h5')

    def measure(self, path, folder):
        result = folder / 'eval.json'
        self.program.run('eval', path, '--data', self.network.held_out, '--json', result)
        report = json.loads((folder / 'report.json').read_text())
        row = json.loads(result.read_text())['results'][0] | {'bytes': path.stat().st_size, 'rate': self.rate}
        return row | {'held_out_loss_nats': report.get('held_out_loss_nats'),
                      'gone': report.get('policy', {}).get('sparsity'), 'penalty': self.penalty}

    def compute(self):
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            path = self.make_model(folder)
            row = self.measure(path, folder)
            if self.name in SHARED:
                with open_whole(self.model) as whole:
                    whole.write_bytes(path.read_bytes())
        return row | {'seconds': time.monotonic() - begun, 'processor_seconds': self.program.seconds}

    def load(self):
        """The row, or None where it is not there and is not to be made."""
        if not self.path.exists():
            if self.args.cached:
                return None
            row = self.compute()
            with open_whole(self.path) as whole:
                whole.write_text(json.dumps(row, indent=1))
        return json.loads(self.path.read_text())


@contextlib.contextmanager
def open_whole(path):
    """A file that is there under its name once it is whole."""
    partial = path.with_name(f'{path.name}.{time.monotonic_ns()}.partial')
    yield partial
    partial.rename(path)
