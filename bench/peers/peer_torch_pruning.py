"""torch-pruning: a graph of dependent layers; neurons by the norm of their weights, or by weight times gradient."""
from rows import Peer


def cut(model, task, importance):
    import torch_pruning
    ratio = 1 - (task.kept + 0.5) / task.neurons  # so that rounding gives that count
    gates = [layer.mlp.gate_proj for layer in model.model.layers]
    model.config.use_cache = False  # it follows tensors back from the output, and finds no way through a cache
    pruner = torch_pruning.pruner.BasePruner(model, task.tokens[:1], importance, ignored_layers=[model.lm_head],
                                             pruning_ratio=0.0, pruning_ratio_dict={gate: ratio for gate in gates})
    pruner.step()
    model.config.use_cache = True
    return model


def cut_by_magnitude(model, task):
    import torch_pruning
    return cut(model, task, torch_pruning.importance.GroupMagnitudeImportance(p=2))


def add_gradients(model, tokens):
    for sample in tokens.split(8):
        model(sample, labels=sample, use_cache=False).loss.backward()


def cut_by_taylor(model, task):
    import torch_pruning
    add_gradients(model, task.tokens)
    return cut(model, task, torch_pruning.importance.GroupTaylorImportance())


ROWS = (Peer('torch-pruning, magnitude', 'torch_pruning', 'torch-pruning', cut_by_magnitude),
        Peer('torch-pruning, Taylor', 'torch_pruning', 'torch-pruning', cut_by_taylor))
