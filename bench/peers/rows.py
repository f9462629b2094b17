"""What is compared: a Program is espalier with options, a Peer another package. The libraries of peers are imported where
they are used, so that the command that starts all processes stays small."""
import dataclasses
import importlib.util
import typing


@dataclasses.dataclass(frozen=True)
class Program:
    name: str
    options: tuple = ()


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    package: str  # as it is imported
    project: str  # as it is installed
    prune: typing.Callable  # (model, Task) -> model, cut in place or not

    def is_there(self):
        return importlib.util.find_spec(self.package) is not None


@dataclasses.dataclass(frozen=True)
class Task:
    """What a peer is asked for."""
    tokens: typing.Any  # of the calibration file; (samples, T) integers
    neurons: int  # of a layer
    kept: int  # of a layer, or on the mean of all layers


def list_rows():
    import peer_modelopt
    import peer_optipfair
    import peer_torch_pruning
    return (Program('set-mi'), Program('flap', ('--criterion', 'flap')), Program('random', ('--criterion', 'random')),
            Program('set-mi, no repair', ('--repair', 'none')),
            *peer_torch_pruning.ROWS, *peer_optipfair.ROWS, *peer_modelopt.ROWS)
