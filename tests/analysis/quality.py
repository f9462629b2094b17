"""Checks of bench/quality/tables.py on rows made by hand: quality.py ROOT"""
import pathlib
import sys
import tempfile

root = sys.argv[1]
sys.path.insert(0, f'{root}/bench/quality')
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
         'program': 'a', 'is_trained_anew': model == 'net', 'samples': 1000, 'calibration': {'samples': 10, 'rows': 1280}}
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
section = make_section(rows, 'ours', ('flap', 'wanda'))
check('text: losses are counted', 'it loses 2 of 6 comparisons, 1 of them by more than the spread: lm 75 % against '
      '`flap` (+0.1000 ± 0.0000)' in section)
first = make_section([row for row in rows if row['seed'] == 1], 'ours', ('flap', 'wanda'))
check('text: one seed is no spread', 'loses 1 of 6 comparisons, 0 of them by more than the spread. Of 1 there is no '
      'spread' in first)
check('text: every cell', '| `wanda` | 0.3000 ± 0.1414 (40.00) | 1.2000 ± 0.2828 (40.00) |' in section)
check('text: machine and seeds', 'two cores' in section and 'seeds 1, 2;' in section)
check('text: what a seed is', 'another network,\ntrained anew, of net; of others' in section)
check('text: data', 'perplexity 30.00 at T 128 on 1,000 samples; 100 parameters; calibrated on 10 samples (1,280 rows).'
      in section)

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
