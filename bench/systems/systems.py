"""The systems that are compared: how each makes a network of a sparsity, as command lines of espalier. Those whose sparsity
is found, not asked for (`l0`, `movement --threshold soft`), are not among them."""

# What a system's name stands for: options of `train` beside those that all share.
BY_WEIGHTS = {
    'random': '--policy random',
    'snip': '--policy snip',
    'iterative snip': '--policy snip --rounds 20',
    'grasp': '--policy grasp',
    'synflow': '--policy synflow',
    'gradual': '--policy gradual',
    'movement': '--policy movement',
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
    'irrelevance': 'irrelevance',
    'set': '--policy set',
    'rigl': '--policy rigl',
}
TICKET_LEVELS = 5
IRRELEVANCE_POINTS = 15  # of the 16 of a training, the first being before it


def list_systems(network):
    """(name, granularity) of all systems that a network can be made by."""
    skipped = {'synflow'} if network.is_text else set()
    names = [('dense', '-'), ('small dense', 'units')] if not network.is_text else [('dense', '-')]
    names += [('magnitude + recovery', 'weights'), ('tickets', 'weights')]
    names += [(name, 'weights') for name in BY_WEIGHTS if name not in skipped]
    names += [('mi + recovery', 'units'), ('set-mi + recovery', 'units')]
    return names + [(name, 'units') for name in BY_UNITS]


def get_options(name, granularity, sparsity):
    table = BY_WEIGHTS if granularity == 'weights' else BY_UNITS
    common = ['--granularity', granularity]
    if name == 'irrelevance':  # as much at every point as reaches the sparsity, whatever the loss
        points = IRRELEVANCE_POINTS
        return common + ['--policy', name, '--bound', 1e6, '--prune-fraction', 1 - (1 - sparsity) ** (1 / points), '--hold-out', 8]
    return table[name].split() + common + ['--final-sparsity', sparsity]


def ticket_fraction(sparsity):
    """Of what is left that goes at a level, so that TICKET_LEVELS of them reach the sparsity."""
    return 1 - (1 - sparsity) ** (1 / TICKET_LEVELS)
