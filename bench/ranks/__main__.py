#!/usr/bin/env python3
"""Traffic of a pruning at several rank counts beside what `plan` says, as a Markdown table: MiB a rank, mean over ranks.

usage: python3 bench/ranks [--program build/release/espalier] [--model tests/models/llama] [--ranks 1,2,4,8,16]
           [--folder out/ranks] [--options OPTIONS of prune] [--launch mpirun]
Runs that the folder holds are not made again. The selections of all rank counts must be the same.
"""
import argparse
import json
import pathlib
import shlex
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--program', default=ROOT / 'build/release/espalier')
    parser.add_argument('--model', type=pathlib.Path, default=ROOT / 'tests/models/llama')
    parser.add_argument('--ranks', default='1,2,4,8,16')
    parser.add_argument('--folder', type=pathlib.Path, default=ROOT / 'out/ranks')
    parser.add_argument('--options', default='--sparsity 0.5')
    parser.add_argument('--launch', default='mpirun')
    return parser.parse_args()


def run(args, n):
    """The report of a pruning on n ranks, and the plan of it."""
    output, plan = args.folder / f'{n}.h5', args.folder / f'{n}.plan.json'
    report = output.with_name(f'{output.name}.report.json')
    common = [args.model, '--data', args.model / 'calibration.h5', *shlex.split(args.options), '--quiet']
    if not report.exists():
        subprocess.run([*shlex.split(args.launch), '-n', str(n), args.program, 'prune', *common, '-o', output], check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run([args.program, 'plan', *common, '--ranks', str(n), '--json', plan], check=True, stdout=subprocess.DEVNULL)
    return json.loads(report.read_text()), json.loads(plan.read_text())


def mib(traffic, key):
    return traffic.get(key, {}).get('bytes', 0.0) / 2 ** 20


def main():
    args = arguments()
    args.folder.mkdir(parents=True, exist_ok=True)
    counts = [int(n) for n in args.ranks.split(',')]
    runs = {n: run(args, n) for n in counts}
    checksums = {report['selection_checksum'] for report, _ in runs.values()}
    if len(checksums) != 1:
        raise SystemExit(f'the rank counts select different units: {checksums}')
    keys = [key for key in next(iter(runs.values()))[1]['traffic'] if any(mib(plan['traffic'], key) > 0 for _, plan in runs.values())]
    print('| ranks | ' + ' | '.join(f'{key}, planned' for key in keys) + ' | calls | bytes of steering |')
    print('|---|' + '---|' * (len(keys) + 2))
    for n, (report, plan) in runs.items():
        traffic = report['run']['traffic']
        cells = [f"{mib(traffic, key):.2f}, {mib(plan['traffic'], key):.2f}" for key in keys]
        steering = sum(traffic[key]['bytes'] for key in ('agreement', 'control'))
        print(f"| {n} | {' | '.join(cells)} | {sum(part['calls'] for part in traffic.values())} | {steering:.0f} |")


if __name__ == '__main__':
    main()
