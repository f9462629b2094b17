#!/usr/bin/env python3
"""Read PRUNED.h5, or a dense model of `espalier train`, into NumPy and PyTorch.

    from load import load
    pruned = load('small.h5')
    pruned.tensors['layers.0.weight']     # NumPy array; bf16, which NumPy lacks, as float32 of the same values
    pruned.kept['hidden.0']               # indices into the original's units
    pruned.scores['hidden.0']             # one a unit of the original
    pruned.config, pruned.report          # dictionaries
    pruned.to_torch()                     # state dict in the file's own types, bf16 too; needs torch

usage: load.py MODEL.h5     lists the tensors. Needs h5py and NumPy; no build of Espalier.
"""
import dataclasses
import json
import sys

import h5py
import numpy as np

BF16_FIELDS = (15, 7, 8, 0, 7)  # HDF5: sign bit, exponent's place and size, mantissa's place and size


@dataclasses.dataclass
class Pruned:
    tensors: dict
    types: dict  # tensor name -> bf16, float16, float32 or float64, as in the file
    kept: dict
    scores: dict
    config: dict
    report: dict

    def to_torch(self):
        import torch
        names = {'bf16': torch.bfloat16}
        return {name: torch.from_numpy(array).to(names.get(self.types[name], getattr(torch, str(array.dtype))))
                for name, array in self.tensors.items()}


def find_type(dataset):
    """Name of a tensor's type; h5py shows bf16 as float32."""
    stored = dataset.id.get_type()
    is_bf16 = isinstance(stored, h5py.h5t.TypeFloatID) and stored.get_size() == 2 and stored.get_fields() == BF16_FIELDS
    return 'bf16' if is_bf16 else str(dataset.dtype)


def read_datasets(file, group):
    found = {}
    if group in file:
        file[group].visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found


def read_arrays(file, group):
    return {name: np.asarray(dataset[()]) for name, dataset in read_datasets(file, group).items()}


def read_json(file, name):
    return json.loads(file[name][()]) if name in file else {}


def load(path):
    with h5py.File(path, 'r') as file:
        if read_json(file, 'meta').get('format') != 'espalier-model':
            raise ValueError(f'{path} is not a model of Espalier: /meta does not say so')
        types = {name: find_type(dataset) for name, dataset in read_datasets(file, 'model').items()}
        return Pruned(read_arrays(file, 'model'), types, read_arrays(file, 'kept'), read_arrays(file, 'scores'),
                      read_json(file, 'config'), read_json(file, 'report'))


def main(words):
    if len(words) != 1 or words[0].startswith('-'):
        sys.exit(__doc__.strip())
    pruned = load(words[0])
    for name, array in pruned.tensors.items():
        print(f'{name:48} {pruned.types[name]:8} {" x ".join(map(str, array.shape))}')
    for site, units in pruned.kept.items():
        print(f'{site:48} {len(units)} of {len(pruned.scores[site])} units kept')


if __name__ == '__main__':
    main(sys.argv[1:])
