"""What is measured: models, criteria with their options, and the cells of the grid."""
import collections
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
MLP = ROOT / 'configs/fashion-mnist.yaml'
MODELS = 'mlp,llama,gpt2,bert'
SPARSITIES = '0.2,0.35,0.5,0.75'
REPAIRS = 'none,least-squares,sequential'
DEFAULT, RIVALS = 'set-mi', ('flap', 'wanda', 'leverage')
SAME_SHAPE = 'set-mi+uniform'  # the default, cut to the rivals' shape

# A criterion, or a variant of one: its options for `prune`. A new one is one line here. Where they name no allocation,
# UNIFORM is added.
CRITERIA = {
    'set-mi': '--criterion set-mi --metric fisher --allocation auto',
    'set-mi+uniform': '--criterion set-mi --metric fisher',
    'set-mi+outputs': '--criterion set-mi --metric outputs',
    'set-mi+codes': '--criterion set-mi --metric fisher --moments codes',
    'set-mi+global': '--criterion set-mi --metric fisher --allocation global',
    'set-mi-forward': '--criterion set-mi-forward',
    'mi': '--criterion mi',
    'mi-mrmr': '--criterion mi-mrmr',
    'mi-jmi': '--criterion mi-jmi',
    'mi-cmim': '--criterion mi-cmim',
    'flap': '--criterion flap',
    'wanda': '--criterion wanda',
    'leverage': '--criterion leverage',
    'activation': '--criterion activation',
    'magnitude': '--criterion magnitude',
    'random': '--criterion random',
    'max-entropy': '--criterion max-entropy',
    'random+no-data': '--criterion random',
}
UNIFORM = ('--allocation', 'uniform')
# By price: for these --sparsity is a fraction of parameters, not of units. They are given the fraction that UNIFORM
# removes, so that all are compared at equal parameters; where auto means uniform, the nominal sparsity again.
SHARED = tuple(name for name, options in CRITERIA.items() if '--allocation' in options)
# These see no data: their statistics are those of max-entropy, from random input.
DATA_FREE = ('max-entropy', 'random+no-data')

Cell = collections.namedtuple('Cell', 'model seed criterion sparsity repair')
# The words that a command takes for this model, beside the file names. is_trained_anew: for its seed; else a seed draws
# other calibration data.
Model = collections.namedtuple('Model', 'name dense is_trained_anew collect prune eval sites')


def count_sequences(path):
    import h5py
    with h5py.File(path) as file:
        return len(file['tokens'])


def find_model(name, seed, networks=None):
    """The perceptron (`dense` None: trained first), NETWORKS/NAME.SEED if there, or a folder like tests/models'."""
    if name == 'mlp':
        return Model(name, None, True, *3 * [['--config', MLP]], [])
    folder = pathlib.Path(name) if '/' in name else ROOT / 'tests/models' / name
    name, trained = folder.name, pathlib.Path(networks or '/dev/null') / f'{folder.name}.{seed}'
    folder = trained if trained.exists() else folder
    data = ['--data', folder / 'calibration.h5']
    half = count_sequences(folder / 'calibration.h5') // 2
    return Model(name, folder, folder == trained, [*data, '--samples', half, '--no-width'], data,
                 ['--data', folder / 'heldout.h5'], ['--sites', 'ffn,attention'])


def split(words):
    return words.split(',')


def list_cells(args):
    """Seed by seed, so that what an interrupted run has measured is complete for some seeds."""
    return [Cell(pathlib.Path(m).name, int(seed), c, s, r) for seed in split(args.seeds) for s in split(args.sparsities)
            for m in split(args.models) for c in split(args.criteria) for r in split(args.repairs)]
