"""optipfair: neurons of gated feed-forward layers, by their weights; MAW also by the norms of their activations."""
from rows import Peer


def list_batches(tokens):
    return [{'input_ids': sample} for sample in tokens.split(8)]


def cut(model, task, method, with_data=False):
    from optipfair import prune_model
    percent = 100 * (task.neurons - task.kept + 0.5) / task.neurons  # so that rounding gives that count
    return prune_model(model, pruning_type='MLP_GLU', neuron_selection_method=method, pruning_percentage=percent,
                       dataloader=list_batches(task.tokens) if with_data else None, show_progress=False)


def make_row(name, *how):
    def prune(model, task):
        return cut(model, task, *how)
    return Peer(f'optipfair, {name}', 'optipfair', 'optipfair', prune)


ROWS = (make_row('MAW', 'MAW'), make_row('MAW with data', 'MAW', True), make_row('VOW', 'VOW'), make_row('PON', 'PON'))
