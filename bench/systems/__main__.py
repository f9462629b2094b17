#!/usr/bin/env python3
"""All systems that prune while a network trains, at the same sparsity and the same number of steps, as Markdown tables.

usage: python3 bench/systems [--program build/release/espalier] [--network lenet-300-100] [--sparsities 0.8,0.9,0.95,0.98]
           [--seeds 1,2,3] [--systems NAME,...] [--train OPTIONS] [--rates X,...] [--rates-at 0.9,...]
           [--folder out/systems] [--jobs 1] [--form wide] [--settings] [--cached]
A network is lenet-300-100 or demo (Fashion-MNIST, from random weights), or bert, llama, gpt2 (tests/models, trained on from
what they are). Of several --rates the first seed takes, for each system and sparsity, the one with the best loss on held-out
training data; the other seeds have the same. With --rates-at, other sparsities take what the next of these chose. A penalty
that a sparsity is found by is chosen by bisection, at the rate of dense networks. Every training is kept in the folder under
its options, so that an interrupted run goes on where it stopped. Figures are of the test data; "nonzero" is a part of the
dense network's parameters, "speed" (--form long) the forward pass beside the dense network's.
"""
import argparse
import concurrent.futures
import json
import pathlib
import sys

from networks import NETWORKS, ROOT
from search import Search
from systems import is_dense, list_systems
from tables import print_long, print_settings, print_wide


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--program', default=ROOT / 'build/release/espalier')
    parser.add_argument('--network', default='lenet-300-100', choices=NETWORKS)
    parser.add_argument('--sparsities', default='0.8,0.9,0.95,0.98')
    parser.add_argument('--seeds', default='1,2,3')
    parser.add_argument('--systems', help='names, with commas; all')
    parser.add_argument('--train', default='', help='options that every training gets')
    parser.add_argument('--rates', default='', help='learning rates to choose from')
    parser.add_argument('--rates-at', default='', help='sparsities at which they are tried; all')
    parser.add_argument('--folder', default=ROOT / 'out/systems')
    parser.add_argument('--jobs', type=int, default=1)
    parser.add_argument('--form', choices=('long', 'wide'), help='a row a cell, or a row a system; wide for several sparsities')
    parser.add_argument('--settings', action='store_true', help='the rates and penalties that were chosen, too')
    parser.add_argument('--cached', action='store_true', help='make nothing: only what the folder holds')
    args = parser.parse_args()
    args.sparsities, args.seeds = [float(s) for s in args.sparsities.split(',')], args.seeds.split(',')
    args.rates_at = [float(s) for s in args.rates_at.split(',')] if args.rates_at else args.sparsities
    args.rates, args.dense_rate = args.rates.split(','), args.rates.split(',')[0]
    pathlib.Path(args.folder).mkdir(parents=True, exist_ok=True)
    return args


def report(text):
    print(text, file=sys.stderr, flush=True)


def load_all(args, network, systems):
    """{(sparsity, *system): {seed: row}}"""
    dense = Search(args, network, ('dense', '-'), 0.0)
    args.dense_rate = (dense.choose() or {'rate': args.dense_rate})['rate']
    results = {(0.0, 'dense', '-'): dense.load(report)}
    pairs = [(0.0, system) for system in systems if is_dense(system[0])]
    pairs += [(sparsity, system) for sparsity in args.sparsities for system in systems if not is_dense(system[0])]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        rows = pool.map(lambda pair: Search(args, network, pair[1], pair[0]).load(report), pairs)
        return results | {(sparsity, *system): of for (sparsity, system), of in zip(pairs, rows)}


def print_time(folder):
    """Of all that the folder holds, so of trainings that chose a rate too."""
    rows = [json.loads(path.read_text()) for path in pathlib.Path(folder).glob('*.json')]
    seconds = [sum(row.get(key, 0.0) for row in rows) / 3600 for key in ('processor_seconds', 'seconds')]
    print(f'\n{len(rows)} trainings took {seconds[0]:.1f} hours of processor time, {seconds[1]:.1f} by the clock.')


def main():
    args, network = (parsed := arguments()), NETWORKS[parsed.network]
    names = args.systems and args.systems.split(',')
    systems = [system for system in list_systems(network) if not names or system[0] in names or system[0] == 'dense']
    results = load_all(args, network, systems)
    if not results[0.0, 'dense', '-']:
        sys.exit('bench/systems: no dense network to compare with')
    dense = next(iter(results[0.0, 'dense', '-'].values()))
    is_long = args.form == 'long' or (not args.form and len(args.sparsities) == 1)
    (print_long if is_long else print_wide)(results, systems, args.sparsities, dense)
    if args.settings:
        print()
        print_settings(results, systems, args.sparsities)
    print_time(args.folder)


if __name__ == '__main__':
    main()
