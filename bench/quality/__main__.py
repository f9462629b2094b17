#!/usr/bin/env python3
"""Quality of pruned models: models x criteria x sparsities x repairs x seeds, as tables, JSON and plots.

usage: python3 bench/quality [--program build/release/espalier] [--jobs 2] [--seeds 1,2,3,4,5] [--models ...]
           [--criteria ...] [--sparsities ...] [--repairs ...] [--folder out/quality] [--json FILE]
           [--figures docs/figures] [--docs docs/results.md] [--cached] [--networks FOLDER]
A seed trains another perceptron. A trained model (tests/models, or a folder like those) is FOLDER/NAME.SEED where that
is there (analysis/models/train.py --seed SEED); else the same one, with another half of its calibration data. Every
result is kept in the folder under its options, so that an interrupted run goes on where it stopped. Prints Markdown;
--docs puts it between the two comment lines of that file. Needs h5py and matplotlib.
"""
import argparse
import json
import os
import pathlib
import sys

from measure import Bench
from plan import CRITERIA, DEFAULT, MODELS, REPAIRS, RIVALS, ROOT, SAME_SHAPE, SPARSITIES, list_cells
from tables import make_section, replace_section


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--program', default=ROOT / 'build/release/espalier')
    parser.add_argument('--launcher', default='mpirun --bind-to none -n 1', help='what stands before the program')
    parser.add_argument('--jobs', type=int, default=os.cpu_count(), help='programs at a time')
    parser.add_argument('--seeds', default='1,2,3,4,5')
    parser.add_argument('--models', default=MODELS)
    parser.add_argument('--criteria', default=','.join(CRITERIA))
    parser.add_argument('--sparsities', default=SPARSITIES)
    parser.add_argument('--repairs', default=REPAIRS)
    parser.add_argument('--default', default=DEFAULT, help='the criterion that is compared with ' + ', '.join(RIVALS))
    parser.add_argument('--networks', help='folder of models trained with other seeds, NAME.SEED')
    parser.add_argument('--folder', default=ROOT / 'out/quality')
    parser.add_argument('--json', help='every cell')
    parser.add_argument('--figures', help='folder for the plots, one a model')
    parser.add_argument('--docs', help='file whose generated section is replaced')
    parser.add_argument('--cached', action='store_true', help='measure nothing: only what the folder holds')
    return parser.parse_args()


def draw_figures(args, rows):
    """Paths of the figures as the file of --docs names them."""
    from plots import draw
    base = pathlib.Path(args.docs).parent if args.docs else pathlib.Path()
    return [pathlib.Path(os.path.relpath(path, base)) for path in draw(rows, pathlib.Path(args.figures))]


def main():
    args = arguments()
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    rows, failures = Bench(args).measure_all(list_cells(args))
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(rows, indent=1))
    section = make_section(rows, (args.default, SAME_SHAPE), RIVALS, draw_figures(args, rows) if args.figures else [])
    print(section)
    if args.docs:
        replace_section(pathlib.Path(args.docs), section)
    if failures and not args.cached:
        sys.exit('\n'.join(failures))


main()
