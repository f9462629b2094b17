#!/usr/bin/env python3
"""tickets.csv of a folder of lottery tickets: level, branch, what is left of all levels, and losses. The standard library does.

usage: tickets.py FOLDER        which has level-N.json, level-N.random.json and level-N.reinitialised.json of espalier train
"""
import csv
import json
import pathlib
import re
import sys

COLUMNS = ('level', 'branch', 'left', 'held_out_loss_nats', 'training_loss_nats', 'training_accuracy', 'steps')


def count_live(report):
    return sum(part['live'] for part in report['policy']['parts'])


def count_all(report):
    return sum(part['count'] for part in report['policy']['parts'])


def read_rows(folder):
    whole = json.loads((folder / 'level-0.json').read_text())
    for path in folder.glob('level-*.json'):
        level, branch = re.fullmatch(r'level-(\d+)(?:\.(\w+))?', path.stem).groups()
        report = json.loads(path.read_text())
        yield {**report, 'level': int(level), 'branch': branch or 'ticket', 'left': count_live(report) / count_all(whole)}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    rows = sorted(read_rows(folder), key=lambda row: (row['level'], row['branch'] != 'ticket', row['branch']))
    with open(folder / 'tickets.csv', 'w', newline='') as file:
        table = csv.DictWriter(file, COLUMNS, extrasaction='ignore', lineterminator='\n')
        table.writeheader()
        table.writerows(rows)
    print((folder / 'tickets.csv').read_text(), end='')


if __name__ == '__main__':
    main()
