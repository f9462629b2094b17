"""Checks of bench/quality: tables.py on rows made by hand, measure.py on a made program: quality.py ROOT"""
import argparse
import json
import pathlib
import sys
import tempfile

root = sys.argv[1]
sys.path.insert(0, f'{root}/bench/quality')
from measure import Bench  # noqa: E402
from plan import Cell  # noqa: E402
from tables import (BEGIN, END, Results, average_ranks, compute_ratio, make_section, plus_minus,  # noqa: E402
                    replace_section)

failures = 0


def check(name, holds):
    global failures
    failures += not holds
    print(f'{"ok     " if holds else "FAILED "} {name}')


# Added loss of each criterion, one figure a seed; the second model is a classifier.
ADDED = {
    ('lm', '0.5'): {'ours': [0.2, 0.4], 'flap': [0.3, 0.7], 'wanda': [0.2, 0.4]},
    ('lm', '0.75'): {'ours': [1.0, 1.2], 'flap': [0.9, 1.1], 'wanda': [1.0, 1.4]},
    ('net', '0.5'): {'ours': [0.1, 0.3], 'flap': [0.1, 0.2], 'wanda': [0.4, 0.4]},
    ('net', '0.75'): {'ours': [0.1, 0.1], 'flap': [0.2, 0.2]},  # wanda was not measured: no ranks here
}
rows = [{'model': model, 'sparsity': sparsity, 'criterion': criterion, 'seed': seed, 'repair': 'least-squares',
         'added_nats': added, 'parameters': 60, 'parameters_dense': 100, 'perplexity': 40.0, 'accuracy': 0.7,
         'context': 128 if model == 'lm' else None, 'dense': 30.0 if model == 'lm' else 0.9, 'machine': 'two cores',
         'program': 'a', 'allocation': 'uniform', 'is_trained_anew': model == 'net', 'samples': 1000,
         'calibration': {'samples': 10, 'rows': 1280}}
        for (model, sparsity), by in ADDED.items() for criterion, values in by.items()
        for seed, added in enumerate(values, 1)]
result = Results(rows, 'least-squares')

check('ranks: ties share their mean', average_ranks({'a': 2, 'b': 1, 'c': 2}) == {'a': 2.5, 'b': 1, 'c': 2.5})
# means: lm 0.5: .3 .5 .3 -> 1.5 3 1.5; lm 0.75: 1.1 1.0 1.2 -> 2 1 3; net 0.5: .2 .15 .4 -> 2 1 3
expected = {'ours': 5.5 / 3, 'flap': 5 / 3, 'wanda': 7.5 / 3}
check('ranks: mean over complete cells', all(abs(result.mean_ranks()[c] - v) < 1e-12 for c, v in expected.items()))
check('ranks: only complete cells', len(result.cell_ranks()) == 3)
pairs = result.compare(('lm', '0.5'), 'ours', 'flap')
check('compare: seed by seed', len(pairs) == 2 and abs(pairs[0] + 0.1) < 1e-12 and abs(pairs[1] + 0.3) < 1e-12)
check('compare: what is missing', result.compare(('net', '0.75'), 'ours', 'wanda') == [])
check('spread: sample deviation', plus_minus([0.1, 0.3]) == '0.2000 ± 0.1414')
check('spread: none of one seed', plus_minus([0.1]) == '0.1000')
ratios, mean = compute_ratio(rows, 'ours')
close = abs(ratios['lm'] - 0.6) < 1e-12 and abs(mean - 0.6) < 1e-12
check('ratio: language models at one sparsity', list(ratios) == ['lm'] and close)

without_seed = Results([row for row in rows if (row['criterion'], row['seed']) != ('flap', 1)], 'least-squares')
check('ranks: only seeds that all have', without_seed.cell_ranks()['lm', '0.75'] == {'ours': 2, 'flap': 1, 'wanda': 3})
section = make_section(rows, ['ours'], ('flap', 'wanda'))
check('text: losses are counted', 'it loses 2 of 6 comparisons, 1 of them by more than the spread: lm 75 % against '
      '`flap` (+0.1000 ± 0.0000)' in section)
first = make_section([row for row in rows if row['seed'] == 1], ['ours'], ('flap', 'wanda'))
check('text: one seed is no spread', 'loses 1 of 6 comparisons, 0 of them by more than the spread. Of 1 there is no '
      'spread' in first)
check('text: every cell', '| `wanda` | 0.3000 ± 0.1414 (40.00) | 1.2000 ± 0.2828 (40.00) |' in section)
check('text: machine and seeds', 'two cores' in section and 'seeds 1, 2;' in section)
check('text: what a seed is', 'another network,\ntrained anew, of net; of others' in section)
check('text: data', 'perplexity 30.00 at T 128 on 1,000 samples; 100 parameters; calibrated on 10 samples (1,280 rows).'
      in section)

check('text: one shape needs no words', 'shared out' not in section and 'At equal shape' in section)
shared = [{**row, 'criterion': 'shared', 'allocation': 'balanced' if row['model'] == 'lm' else 'uniform',
           'parameters': 59 if row['model'] == 'lm' else 60} for row in rows if row['criterion'] == 'ours']
both = make_section(rows + shared, ['shared', 'ours'], ('flap', 'wanda'))
flat = both.replace('\n', ' ')
check('text: how rows of a shared sparsity compare', 'units of `shared` are shared out between sites' in flat and
      "differs by at most 1.00 % (`shared`) of the dense model's parameters. On net `shared` itself means" in flat)
check('text: at equal what', 'At equal parameters. Added loss of `shared`' in both and
      'At equal shape. Added loss of `ours`' in both)
check('text: the ratio of each', all(f'`{c}` adds 60.0 % of the loss that `flap` adds' in both
                                     for c in ('shared', 'ours')))


class MadeProgram(Bench):
    """The uniform cut removes 0.47 of the parameters; auto means what it is told."""
    auto = 'balanced'

    def run(self, command, *words):
        words = [str(word) for word in words]
        out = pathlib.Path(words[words.index('--json' if command == 'eval' else '-o') + 1])
        figures = {'loss_nats': 1.0, 'parameters': 60, 'accuracy': 0.7, 'samples': 10}
        out.write_text(json.dumps({'results': [figures]}) if command == 'eval' else '')
        if command != 'prune':
            return
        asked, allocation = (words[words.index(option) + 1] for option in ('--sparsity', '--allocation'))
        allocation = self.auto if allocation == 'auto' else allocation
        self.asked.append((words[words.index('--criterion') + 1], allocation, asked))
        got = 0.47 if allocation == 'uniform' else float(asked)
        pathlib.Path(f'{out}.report.json').write_text(json.dumps(
            {'allocation': {'name': allocation, 'sparsity_chosen_matrices': got}, 'samples': 10,
             'collection': {'samples': 10}}))


def measure_made(criteria, folder, auto='balanced', cached=False):
    bench = MadeProgram(argparse.Namespace(folder=folder, models='mlp', seeds='1', networks=None, cached=cached, jobs=1,
                                           program=sys.executable))
    bench.asked, bench.auto = [], auto
    rows, failures = bench.measure_all([Cell('mlp', 1, criterion, '0.5', 'least-squares') for criterion in criteria])
    return rows, bench.asked, failures


CUT = ('random', 'uniform', '0.5')
with tempfile.TemporaryDirectory() as folder:
    made, asked, _ = measure_made(['flap', 'set-mi+uniform', 'set-mi', 'set-mi+global'], folder)
    check('measure: a shared sparsity is that of the uniform cut', asked == [
        ('flap', 'uniform', '0.5'), ('set-mi', 'uniform', '0.5'), CUT, ('set-mi', 'balanced', '0.470000000'),
        ('set-mi', 'global', '0.470000000')])
    check('measure: rows keep the nominal sparsity', {row['sparsity'] for row in made} == {'0.5'})
    check('measure: rows say their allocation', [row['allocation'] for row in made] == [
        'uniform', 'uniform', 'balanced', 'global'])
    again, asked, missing = measure_made(['set-mi', 'set-mi+global'], folder, cached=True)
    check('measure: nothing twice', asked == missing == [] and again == made[2:])
    check('measure: no scratch stays', not list(pathlib.Path(folder).glob('scratch/*.h5*')))

with tempfile.TemporaryDirectory() as folder:
    made, asked, _ = measure_made(['set-mi'], folder, auto='uniform')
    check('measure: auto that means uniform is asked for units', asked[-1] == ('set-mi', 'uniform', '0.5') and
          made[0]['allocation'] == 'uniform')
    # as kept before there was another allocation than uniform, under these options
    names = [path.name for path in pathlib.Path(folder).glob('results/*.json')]
    measure_made(['set-mi+uniform'], folder)
    added = {path.name for path in pathlib.Path(folder).glob('results/*.json')} - set(names)
    check('measure: uniform cells keep their key', added == {'mlp.1.set-mi+uniform.0.5.least-squares.87d8f20e.json'})

with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'results.md'
    path.write_text(f'before\n{BEGIN}\nold\n{END}\nafter\n')
    replace_section(path, 'new')
    check('docs: only the section changes', path.read_text() == f'before\n{BEGIN}\nnew\n{END}\nafter\n')
    path.write_text('no section\n')
    try:
        replace_section(path, 'new')
        check('docs: a file without the section is refused', False)
    except SystemExit as refusal:
        check('docs: a file without the section is refused', 'expected the two lines' in str(refusal))
sys.exit(failures > 0)
