"""What the first seed chooses for all: the rate, and the penalty of a system whose sparsity is found."""
import math

from runs import Failure, Run
from systems import FOUND, is_dense

TRIALS = 7  # penalties, at most
NEAR, FAR = 0.1, 0.25  # of the part that is left: no more trials; no result


def load_or_none(run):
    try:
        return run.load()
    except Failure:
        return None


class Search:
    """One system at one sparsity."""

    def __init__(self, args, network, system, sparsity):
        self.args, self.network, self.system = args, network, system
        self.sparsity = 0.0 if is_dense(system[0]) else sparsity
        self.setting = None

    def make_run(self, seed, **setting):
        if self.system[0] not in FOUND:
            setting = {'sparsity': self.sparsity} | setting
        return Run(self.args, self.network, self.system, seed=seed, **setting)

    def try_penalty(self, penalty):
        """(penalty, logarithm of how much more is left than asked)."""
        row = self.make_run(self.args.seeds[0], rate=self.args.dense_rate, penalty=penalty).load()
        if not row:
            return None
        return penalty, math.log(max(1 - (row['gone'] or 0.0), 1e-6) / (1 - self.sparsity))

    def find_penalty(self):
        """Doubles or halves until the sparsity lies between, then the chord of logarithms."""
        tried = [self.try_penalty(FOUND[self.system[0]][self.system[1]])]
        while tried[-1] and abs(tried[-1][1]) > NEAR and len(tried) < TRIALS:
            tried.append(self.try_penalty(find_next(tried)))
        known = [trial for trial in tried if trial and abs(trial[1]) < FAR]
        return min(known, key=lambda trial: abs(trial[1]))[0] if known else None

    def find_rate(self):
        """Of the best held-out loss, at this sparsity or the next at which rates are tried."""
        at = min(self.args.rates_at, key=lambda sparsity: abs(sparsity - self.sparsity)) if self.sparsity else 0.0
        runs = {rate: self.make_run(self.args.seeds[0], rate=rate, sparsity=at) for rate in self.args.rates}
        rows = {rate: row for rate, run in runs.items() if (row := load_or_none(run))}
        return min(rows, key=lambda rate: rows[rate]['held_out_loss_nats'] or 0.0) if rows else None

    def choose(self):
        """Options of the runs of all seeds; None where nothing is there."""
        if self.system[0] in FOUND:
            penalty = self.find_penalty()
            return penalty and {'rate': self.args.dense_rate, 'penalty': penalty}
        if self.system[0] == 'tickets' or len(self.args.rates) == 1:
            return {'rate': self.args.dense_rate}
        rate = self.find_rate()
        return None if rate is None else {'rate': rate}

    def load(self, report):
        """{seed: row} of those that are there; failures go to report(text)."""
        rows = {}
        try:
            setting = self.choose()
            for seed in self.args.seeds if setting else ():
                if row := self.make_run(seed, **setting).load():
                    rows[seed] = row
        except Failure as failure:
            report(f'{self.system[0]} by {self.system[1]}, {100 * self.sparsity:g} %: {failure}')
        return rows


def find_next(tried):
    """The penalty to try next."""
    over = max((trial for trial in tried if trial[1] > 0), default=None, key=lambda trial: trial[0])
    under = min((trial for trial in tried if trial[1] <= 0), default=None, key=lambda trial: trial[0])
    if not over or not under:
        return tried[-1][0] * (3.0 if over else 1 / 3.0)
    part = min(max(over[1] / (over[1] - under[1]), 0.2), 0.8)
    return over[0] * (under[0] / over[0]) ** part
