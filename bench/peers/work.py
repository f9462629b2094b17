"""One piece of work in a process of its own, so that its time and memory are its own: work.py REQUEST.json, which gets the
answer. Seconds are of the CPU; those of the start are spent before the work itself: libraries and the dense model."""
import json
import pathlib
import sys
import time

import torch

from network import describe_opening, measure, open_network, open_plain, read_tokens, set_sizes, write_network
from recovery import recover
from rows import Task, list_rows


def prune(request):
    row = next(row for row in list_rows() if row.name == request['row'])
    model = open_plain(request['dense'])
    __import__(row.package)
    neurons = model.config.intermediate_size
    kept = round(neurons * (1 - request['sparsity']))
    tokens = read_tokens(request['data'])
    start = time.process_time()
    model = row.prune(model, Task(tokens, neurons, kept))
    return {'start': start, 'opening': describe_opening(model, request['output'], request['dense'])}


def train(request):
    model, teacher = open_network(request['input'])[0], open_plain(request['dense'])
    tokens = read_tokens(request['data'])
    start = time.process_time()
    answer = recover(model, teacher, tokens, int(request['epochs']))
    set_sizes(model)
    write_network(model, request['output'], request['dense'])
    return answer | {'start': start}


def evaluate(request):
    return measure(request['input'], request['data'])


WORK = {'prune': prune, 'recover': train, 'measure': evaluate}


def main():
    path = pathlib.Path(sys.argv[1])
    request = json.loads(path.read_text())
    torch.set_num_threads(1)
    torch.manual_seed(1)
    path.write_text(json.dumps(WORK[request['work']](request)))


main()
