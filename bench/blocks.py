#!/usr/bin/env python3
"""Perplexity of small language models pruned in all blocks: criteria x sparsities, as a Markdown table and JSON.

usage: bench/blocks.py [--program build/release/espalier] [--models tests/models/llama,tests/models/gpt2]
           [--criteria ...] [--sparsities 0.2,0.35,0.5] [--repair least-squares] [--ranks 2] [--folder out/blocks]
           [--json FILE]
Collects once a model (MODEL/calibration.h5, all of it), prunes every ffn and attention site at the same unit sparsity,
which is the fraction of the parameters of the blocks, and evaluates on MODEL/heldout.h5. What is really removed is
printed too: heads are few, and under grouped queries each KV group loses equally many.
"""
import argparse
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
CRITERIA = 'set-mi,mi,random,magnitude,wanda,flap,leverage,activation'


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--program', default=ROOT / 'build/release/espalier')
    parser.add_argument('--models', default=f"{ROOT / 'tests/models/llama'},{ROOT / 'tests/models/gpt2'}")
    parser.add_argument('--criteria', default=CRITERIA)
    parser.add_argument('--sparsities', default='0.2,0.35,0.5')
    parser.add_argument('--repair', default='least-squares')
    parser.add_argument('--ranks', default='2')
    parser.add_argument('--folder', default=ROOT / 'out/blocks')
    parser.add_argument('--json', default=None)
    return parser.parse_args()


def run(args, *words):
    command = ['mpirun', '-n', args.ranks, str(args.program), *map(str, words), '-q']
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def collect(args, model):
    stats = pathlib.Path(args.folder) / f'{model.name}.stats.h5'
    if not stats.exists():
        run(args, 'collect', model, '--data', model / 'calibration.h5', '--samples', 0, '-o', stats)
    return stats


def prune(args, model, criterion, sparsity):
    output = pathlib.Path(args.folder) / f'{model.name}.{criterion}.{sparsity}.h5'
    run(args, 'prune', model, '--stats', collect(args, model), '--data', model / 'calibration.h5', '--criterion',
        criterion, '--sites', f'ffn={sparsity},attention={sparsity}', '--repair', args.repair, '-o', output)
    return output


def evaluate(args, model, pruned):
    result = pathlib.Path(args.folder) / 'eval.json'
    run(args, 'eval', model, *pruned, '--data', model / 'heldout.h5', '--no-speed', '--json', result)
    return json.loads(result.read_text())['results']


def measure(args, model):
    """Return {criterion: [row of eval, one a sparsity]} and the dense model's row."""
    criteria, sparsities = args.criteria.split(','), args.sparsities.split(',')
    rows = evaluate(args, model, [prune(args, model, c, s) for c in criteria for s in sparsities])
    n = len(sparsities)
    return {c: rows[1 + i * n:1 + (i + 1) * n] for i, c in enumerate(criteria)}, rows[0]


def count_blocks(args, model):
    """Parameters of the prunable matrices of all blocks."""
    path = pathlib.Path(args.folder) / 'info.json'
    run(args, 'info', model, '--json', path)
    return json.loads(path.read_text())['parameters_prunable']


def print_table(args, model, table, dense):
    blocks, sparsities = count_blocks(args, model), args.sparsities.split(',')
    first = next(iter(table.values()))
    got = [(dense['parameters'] - row['parameters']) / blocks for row in first]
    print(f"\n{model.name}: dense perplexity {dense['perplexity']:.2f} (T {dense['context']}), {dense['parameters']:,} "
          f"parameters, {blocks:,} of them in blocks; repair {args.repair}\n")
    heads = [f'{100 * float(s):g} % ({100 * g:.1f} %)' for s, g in zip(sparsities, got)]
    print('| criterion | ' + ' | '.join(heads) + ' |')
    print('|---|' + '---|' * len(sparsities))
    for criterion, rows in table.items():
        print(f'| `{criterion}` | ' + ' | '.join(f"{row['perplexity']:.2f}" for row in rows) + ' |')


def main():
    args = arguments()
    pathlib.Path(args.folder).mkdir(parents=True, exist_ok=True)
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    everything = {}
    for model in map(pathlib.Path, args.models.split(',')):
        table, dense = measure(args, model)
        print_table(args, model, table, dense)
        everything[model.name] = {'dense': dense, 'repair': args.repair, 'criteria': table}
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(everything, indent=1))


main()
