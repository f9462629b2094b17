"""Checks of analysis/load.py and analysis/report.py on files of the program: check.py ROOT PRUNED.h5 BF16.h5
PAGE.html OTHERS.html"""
import base64
import pathlib
import re
import sys

import h5py
import numpy as np

root, pruned_path, bf16_path, page_path, others_path = sys.argv[1:]
sys.path.insert(0, f'{root}/analysis')
from load import load  # noqa: E402

failures = 0


def check(name, holds):
    global failures
    failures += not holds
    print(f'{"ok     " if holds else "FAILED "} {name}')


def raw_bf16(path, name):
    """The file's bytes of a contiguous data set, as float32 by hand: bf16 is float32's upper half."""
    with h5py.File(path) as file:
        data = file[f'model/{name}']
        start, size = data.id.get_offset(), data.id.get_storage_size()
    words = np.frombuffer(pathlib.Path(path).read_bytes()[start:start + size], '<u2')
    return (words.astype('<u4') << 16).view('<f4')


small = load(pruned_path)
with h5py.File(pruned_path) as file:
    check('load: every tensor', sorted(small.tensors) == sorted(file['model']))
check('load: shape of what was cut', small.tensors['layers.0.weight'].shape == (len(small.kept['hidden.0']), 64))
check('load: kept units are indices of the original', small.kept['hidden.0'].max() < len(small.scores['hidden.0']) == 24)
check('load: report', small.report['criterion'] == 'set-mi' and small.config['layer_sizes'] == [64, 6, 4, 4])
check('load: float32 stays', small.types['layers.0.weight'] == 'float32')

bf16 = load(bf16_path)
name = 'model.layers.0.mlp.down_proj.weight'
check('load: bf16 is named', bf16.types[name] == 'bf16')
check('load: bf16 values, bit for bit', np.array_equal(bf16.tensors[name].ravel(), raw_bf16(bf16_path, name)))
check('load: bf16 was cut', bf16.tensors[name].shape[1] == len(bf16.kept['ffn.0']) < len(bf16.scores['ffn.0']))
try:
    import torch
    check('load: PyTorch keeps bf16', bf16.to_torch()[name].dtype == torch.bfloat16)
except ImportError:
    print('skipped PyTorch: not here')



def find_pictures(text):
    return re.findall(r'<img alt="([^"]+)" src="data:image/svg\+xml;base64,([^"]+)">', text)


page, others = (pathlib.Path(path).read_text() for path in (page_path, others_path))
pictures = find_pictures(page)
expected = ['Quality against sparsity', 'Pruned and recovered', 'Training curves', 'Kept units', 'Information against depth', 'Stability of the selection',
            'Speed-up against parameters', 'Phase times', 'Memory and traffic', 'Scaling']
check('report: its figures', [name for name, _ in pictures] == expected)
check('report: pictures are SVG', all(b'<svg' in base64.b64decode(data) for _, data in pictures))
check('report: self-contained', not re.search(r'(src|href)="(?!data:)|url\(|@import', page))
check('report: under 1 MB', len(page) < 10 ** 6)
check('report: asked and got', re.search(r'<td>uniform</td><td>50 %</td><td>[\d.]+ %</td>', page))
check('report: the slowest rank and its host', re.search(r'<td>repair</td>(<td>[\d.e-]+</td>){3}<td>\d of \d, \w', page))
check('report: no warnings, no section', 'Warnings' not in page)
names = [name for name, _ in find_pictures(others)]
check('report: doublings, and no information of masks', 'Doubling of the samples' in names)
check('report: masks and layers', 'wanda, masks' in others and 'whole layers' in others and 'single weights' in others)
check('report: an allocation has a name', 'set-mi, Fisher, global' in others and 'nats a parameter' in others)
check('report: a warning, with its run', re.search(r'<li>S = 64 rows are few .*?<small>few</small>', others))
check('report: what opens the results', re.search(r'<li>analysis/checkpoints/load_pruned.py \(layers have different sizes\) <small>global</small>',
                                                 others) and re.search(r'<li>transformers <small>', others))
check('report: perceptrons open nowhere else', 'What opens' not in page)
check('report: the selection checksum', small.report['selection_checksum'] in page)
check('report: every run a line', page.count('<code>') == 7)
sys.exit(failures > 0)
