"""A language model of PyTorch: opened, measured and written."""
import math
import pathlib
import sys

import h5py
import torch
from transformers import AutoConfig, AutoModelForCausalLM, logging

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / 'analysis/checkpoints'))
from load_pruned import load_pruned

BATCH = 8  # samples that go forward together
logging.set_verbosity_error()
logging.disable_progress_bar()


def read_tokens(path):
    with h5py.File(path) as file:
        return torch.tensor(file['tokens'][:].astype('i8'))


def open_plain(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).train(False)


def open_network(folder):
    """In float32, and what opened it."""
    try:
        return open_plain(folder), 'from_pretrained'
    except (RuntimeError, ValueError):
        return load_pruned(folder)[0].float().train(False), 'load_pruned.py'


def set_sizes(model):
    """In the configuration; true if from_pretrained can express them, which takes one size for all layers."""
    sizes = [layer.mlp.gate_proj.weight.shape[0] for layer in model.model.layers]
    if len(set(sizes)) == 1:
        model.config.intermediate_size = sizes[0]
        return True
    model.config.per_layer_config = {str(i): {'intermediate_size': size} for i, size in enumerate(sizes)}
    return False


def is_plain(folder):
    try:
        open_plain(folder)
        return True
    except (RuntimeError, ValueError):
        return False


def write_network(model, folder, dense):
    """In the number format of the dense model."""
    kind = AutoConfig.from_pretrained(dense).dtype or torch.float32
    model.to(kind).save_pretrained(folder)


def describe_opening(model, folder, dense):
    """Writes what a peer made, and says what from_pretrained needs to open it."""
    write_network(model, folder, dense)
    if is_plain(folder):
        return 'from_pretrained'
    fits = set_sizes(model)
    write_network(model, folder, dense)
    return 'from_pretrained, once intermediate_size is set by hand' if fits else 'load_pruned.py'


def compute_loss(model, tokens):
    """Mean cross-entropy of the next token, nats."""
    total = 0.0
    with torch.no_grad():
        for sample in tokens.split(BATCH):
            logits = model(sample, use_cache=False).logits[:, :-1].double().flatten(0, 1)
            total += torch.nn.functional.cross_entropy(logits, sample[:, 1:].flatten(), reduction='sum').item()
    return total / (tokens.shape[0] * (tokens.shape[1] - 1))


def measure(folder, held_out):
    model, opened_by = open_network(folder)
    loss = compute_loss(model, read_tokens(held_out))
    size = sum(path.stat().st_size for path in pathlib.Path(folder).glob('*.safetensors'))
    return {'loss': loss, 'perplexity': math.exp(loss), 'bytes': size, 'opened_by': opened_by,
            'parameters': sum(weight.numel() for weight in model.parameters()),
            'neurons': [layer.mlp.gate_proj.weight.shape[0] for layer in model.model.layers]}
