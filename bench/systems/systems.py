"""The systems that are compared: how each makes a network of a sparsity, as command lines of espalier."""

# What a system's name stands for: options of `train` beside those that all share.
BY_WEIGHTS = {
    'random': '--policy random',
    'snip': '--policy snip',
    'iterative snip': '--policy snip --rounds 20',
    'grasp': '--policy grasp',
    'synflow': '--policy synflow',
    'gradual': '--policy gradual',
    'movement': '--policy movement',
    'soft movement': '--policy movement --threshold soft --score-rate 0.05',
    'l0': '--policy l0',
    'irrelevance': 'irrelevance',
    'set': '--policy set',
    'rigl': '--policy rigl',
    'snfs': '--policy snfs',
    'edge-popup': '--policy edge-popup',
    'freezenet': '--policy freezenet',
}
BY_UNITS = {
    'random': '--policy random',
    'snip (SNAP)': '--policy snip',
    'grasp (CroP)': '--policy grasp',
    '3sp': '--policy 3sp',
    'gradual': '--policy gradual',
    'movement': '--policy movement',
    'soft movement': '--policy movement --threshold soft --score-rate 0.05',
    'l0': '--policy l0',
    'irrelevance': 'irrelevance',
    'set': '--policy set',
    'rigl': '--policy rigl',
}
# Their sparsity is found by a penalty: the first that is tried, by granularity.
FOUND = {
    'soft movement': {'weights': 50.0, 'units': 1.0},
    'l0': {'weights': 30.0, 'units': 1.0},
}
SHARED = ('dense', 'tickets', 'snip')  # others begin with their models
TICKET_KEPT = (0.447, 0.2, 0.1, 0.05, 0.02)  # levels, down to the sparsity
HELD_OUT = 16  # every so many-th micro-batch, where something is chosen by it
IRRELEVANCE_POINTS, IRRELEVANCE_TO = 11, 0.72  # so many of the 16 of a training lie before that part of it
# A perceptron's matrices are of many sizes; those of an encoder, for which movement pruning was published, are not.
OF_PERCEPTRONS = {('movement', 'weights'): ['--distribution', 'erk']}
# The option that --rates are of, and the factor of the rate; else --rate.
RATE_OPTIONS = {'edge-popup': ('--score-rate', 50.0)}


def list_systems(network):
    """(name, granularity) of all systems that a network can be made by."""
    skipped = {'synflow'} if network.is_text else set()
    names = [('dense', '-')]
    if not network.is_text:
        names += [('biases alone', '-'), ('small dense', 'units')]
    names += [('magnitude + recovery', 'weights'), ('tickets', 'weights')]
    if not network.is_text:
        names += [('random as tickets', 'weights'), ('random as snip', 'weights')]
    names += [(name, 'weights') for name in BY_WEIGHTS if name not in skipped]
    names += [('mi + recovery', 'units'), ('set-mi + recovery', 'units')]
    return names + [(name, 'units') for name in BY_UNITS]


def is_dense(name):
    """Whether it is the same at every sparsity."""
    return name in ('dense', 'biases alone')


def get_options(name, granularity, sparsity, penalty=None):
    """Of `train`, for any network; empty for a system that is more than one command."""
    table = BY_WEIGHTS if granularity == 'weights' else BY_UNITS
    common = ['--granularity', granularity]
    if name == 'biases alone':
        return ['--trainable', 'norms']
    if name not in table:
        return []
    if name == 'irrelevance':  # as much at every point as reaches the sparsity, whatever the loss
        fraction = 1 - (1 - sparsity) ** (1 / IRRELEVANCE_POINTS)
        return common + ['--policy', name, '--bound', 1e6, '--prune-fraction', fraction, '--prune-to', IRRELEVANCE_TO,
                         '--hold-out', HELD_OUT]
    if name in FOUND:
        return table[name].split() + common + ['--penalty', f'{penalty:.6g}']
    return table[name].split() + common + ['--final-sparsity', sparsity]


def get_rate_option(name):
    return RATE_OPTIONS.get(name, ('--rate', 1.0))
