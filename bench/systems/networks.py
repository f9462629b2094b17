"""The networks that are pruned while they train."""
import dataclasses
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGES = '/usr/share/datasets/fashion-mnist'


@dataclasses.dataclass(frozen=True)
class Network:
    name: str
    is_text: bool
    source: tuple  # what `train` begins with: a model, or options of a new one
    data: str
    held_out: str
    layers: tuple = ()  # sizes of a perceptron

    def scale(self, density):
        """Hidden sizes of a dense perceptron with that part of the weights."""
        return scale_layers(self.layers, density)


def scale_layers(layers, density):
    """Hidden sizes of a dense perceptron with that part of the weights."""
    target = density * count(layers)
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        sizes = (layers[0], *(middle * n for n in layers[1:-1]), layers[-1])
        low, high = (middle, high) if count(sizes) < target else (low, middle)
    return tuple(max(1, round(low * n)) for n in layers[1:-1])


def count(layers):
    return sum(a * b for a, b in zip(layers, layers[1:]))


def perceptron(name, *layers):
    hidden = ','.join(map(str, layers[1:-1]))
    return Network(name, False, ('--hidden', hidden), IMAGES, IMAGES, layers)


def trained(name):
    folder = ROOT / 'tests/models' / name
    return Network(name, True, (str(folder),), str(folder / 'calibration.h5'), str(folder / 'heldout.h5'))


NETWORKS = {network.name: network for network in (
    perceptron('lenet-300-100', 784, 300, 100, 10), perceptron('demo', 784, 512, 256, 10),
    trained('bert'), trained('llama'), trained('gpt2'))}
