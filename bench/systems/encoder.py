"""The matrices of an encoder, its units' parts of them, and how a penalty is looked for."""
import dataclasses
import json
import math


@dataclasses.dataclass(frozen=True)
class Encoder:
    layers: int
    heads: int  # of a layer: groups that share keys
    neurons: int
    of_head: int  # parameters of one
    of_neuron: int
    shared: int = 0  # of a layer's parameters, those that no mask takes: keys and values that heads share

    @property
    def parameters(self):
        return self.layers * (self.heads * self.of_head + self.neurons * self.of_neuron)

    def find_part_of_weights(self, sparsity):
        """Of the matrices that masks take."""
        return sparsity * self.parameters / (self.parameters - self.layers * self.shared)

    def find_part_of_units(self, sparsity):
        """Of every site's units, that leaves the nearest number of parameters, as `train --final-sparsity` rounds it."""
        wanted = (1 - sparsity) * self.parameters / self.layers

        def distance(kept):
            heads = max(1, int(self.heads * kept / self.neurons + 0.5))
            return abs(heads * self.of_head + kept * self.of_neuron - wanted)
        return 1 - min(range(1, self.neurons + 1), key=distance) / self.neurons


def read(folder):
    config = json.loads((folder / 'config.json').read_text())
    hidden = config.get('hidden_size', config.get('n_embd'))
    heads = config.get('num_attention_heads', config.get('n_head'))
    groups = config.get('num_key_value_heads', heads)
    of_heads = 2 * hidden * (hidden + groups * config.get('head_dim', hidden // heads))
    neurons = config.get('intermediate_size') or config.get('n_inner') or 4 * hidden
    gated = config['model_type'] == 'llama'
    return Encoder(config.get('num_hidden_layers', config.get('n_layer')), groups, neurons, of_heads // groups,
                   (3 if gated else 2) * hidden, of_heads - 2 * hidden * hidden if groups != heads else 0)


def suggest(known, sparsity, first=160.0):
    """The next penalty to try, of (sparsity, penalty) that are known; none if the last try has not moved."""
    below = max(((s, p) for s, p in known if s <= sparsity), default=None)
    above = min(((s, p) for s, p in known if s > sparsity), default=None)
    if not known:
        return first
    if below is None or above is None:
        return above[1] / 3 if above else below[1] * 3
    part = (sparsity - below[0]) / (above[0] - below[0]) if above[0] > below[0] else 0.5
    penalty = math.exp(math.log(below[1]) + min(0.8, max(0.2, part)) * math.log(above[1] / below[1]))
    return None if any(math.isclose(penalty, p, rel_tol=1e-3) for _, p in known) else penalty
