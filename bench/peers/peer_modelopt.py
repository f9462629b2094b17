"""nvidia-modelopt: FastNAS, which its manual recommends for vision models: layers of different sizes, found by trials. Its
pruning of language models (Minitron) takes models of Megatron alone. Needs torchprofile 0.0.4."""
import pathlib
import tempfile

from rows import Peer

MOST_STEP = 32  # neurons by which sizes differ
SAMPLES = 32  # of the calibration text, for a trial


def choose_step(task):
    """So that every layer may keep the mean."""
    return next(step for step in range(MOST_STEP, 0, -1) if task.kept % step == 0)


def make_mode(task):
    step = choose_step(task)
    ratios = tuple(size / task.neurons for size in range(step, task.neurons, step)) + (1.0,)
    return [('fastnas', {'nn.Linear': {'*': {'features_ratio': ratios, 'feature_divisor': 1}}})]


def count_parameters(model, task):
    """Of the result; it counts an embedding that is the head too twice."""
    layers = model.model.layers
    gone = sum(3 * (task.neurons - task.kept) * layer.mlp.gate_proj.in_features for layer in layers)
    tied = model.lm_head.weight.numel() if model.config.tie_word_embeddings else 0
    return sum(weight.numel() for weight in model.parameters()) - gone + tied


def cut_by_search(model, task):
    import modelopt.torch.prune
    import torch
    sample = task.tokens[:SAMPLES]

    def score(candidate):
        with torch.no_grad():
            return -candidate(sample, labels=sample, use_cache=False).loss.item()

    with tempfile.TemporaryDirectory() as folder:
        config = {'data_loader': [sample], 'score_func': score, 'checkpoint': str(pathlib.Path(folder) / 'search.pth')}
        pruned, _ = modelopt.torch.prune.prune(model, make_mode(task), {'params': float(count_parameters(model, task))},
                                               sample[:1], config)
    return pruned


ROWS = (Peer('modelopt, FastNAS', 'modelopt', 'nvidia-modelopt', cut_by_search),)
