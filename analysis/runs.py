"""What a report of `espalier prune` says, in the form that the figures use."""
import collections
import json
import pathlib
import re
import sys


def read_json(path):
    try:
        return json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError) as error:
        sys.exit(f'report: {path}: {error}')


def read_evaluations(paths):
    """{model: (its row, the dense model's row)} by path and by file name."""
    found = {}
    for path in paths:
        results = [{key: value for key, value in row.items() if value is not None} for row in read_json(path)['results']]
        for row in results[1:]:
            found[row['model']] = found[pathlib.Path(row['model']).name] = (row, results[0])
    return found


def job_of(report):
    """What two runs have in common that differ only in the rank count: model, data, and every option but paths."""
    options = {**report['options'], 'run': {'seed': report['options']['run']['seed']}}
    options['prune'] = {key: value for key, value in options['prune'].items() if key != 'stats'}
    return json.dumps([report.get('collection'), options, bool(report['options']['prune']['stats'])], sort_keys=True)


def name_selection(report):
    """The criterion, and what differs from its defaults: two runs of one name choose by the same rule."""
    said = [report['criterion'] + ('+codes' if report['moments'] == 'codes' else '')]
    said += ['Fisher'] if report.get('metric') == 'fisher' else []
    said += [report['allocation']['name']] if (report.get('allocation') or {}).get('name', 'uniform') != 'uniform' else []
    said += ['masks'] if report.get('structure') == 'unstructured' else []
    return ', '.join(said)


def split_layers(site):
    """Whole layers are reported as one site; here every layer is one, whole or gone."""
    kept, measured = set(site.get('kept_layers', ())), site.get('by_layer', [None] * site['units'])
    key = 'cosine' if 'cosine' in site else 'information_nats'
    for layer, value in enumerate(measured):
        yield {'site': f'block.{layer}', 'kind': 'whole layers', 'units': 1, 'kept': int(layer in kept), key: value}


def sum_matrices(matrices):
    """Of masks: the weights that stay, by layer."""
    layers = collections.defaultdict(lambda: [0, 0])
    for matrix in matrices:
        number = re.search(r'\.(\d+)\.', matrix['weight'])
        sums = layers[int(number.group(1)) if number else 0]
        sums[0] += matrix['kept']
        sums[1] += matrix['parameters']
    return [{'site': f'weights.{layer}', 'kind': 'single weights', 'kept': kept, 'units': units}
            for layer, (kept, units) in sorted(layers.items())]


def list_sites(report):
    sites = [part for site in report['sites'] for part in (split_layers(site) if site['kind'] == 'block' else [site])]
    return sites + sum_matrices(report.get('matrices', ()))


def read_training(path):
    """A curve of espalier train or recover, by their --json."""
    training = read_json(path)
    missing = {'curve', 'steps', 'output'} - set(training)
    if missing:
        sys.exit(f'report: {path} is no result of espalier train or recover: it has no {", ".join(sorted(missing))}')
    return make_training(pathlib.Path(training['output']).name.removesuffix('.h5'), training)


def make_training(name, training):
    return {'name': name, 'objective': training['objective'], 'held_out': training.get('held_out_objective'),
            'curve': training['curve'], 'best_step': training['best_step'], 'steps': training['steps'],
            'planned': training['steps_planned'], 'trainable': training['parameters_trainable'],
            'before': training.get('held_out_loss_nats_before'), 'after': training.get('held_out_loss_nats')}


def find_recovered(report, evaluations):
    """The quality of the model that was recovered from this one: NAME.recovered.h5 beside NAME.h5."""
    path = pathlib.Path(report['output']).with_suffix('.recovered.h5')
    return evaluations.get(str(path), evaluations.get(path.name, ({}, {})))[0]


def make_run(path, evaluations):
    report = read_json(path)
    missing = {'criterion', 'sites', 'run', 'options'} - set(report)
    if missing:
        sys.exit(f'report: {path} is no report of espalier prune: it has no {", ".join(sorted(missing))}')
    name = pathlib.Path(report['output']).name
    quality, dense = evaluations.get(report['output'], evaluations.get(name, ({}, {})))
    sites = list_sites(report)
    return {'name': name.removesuffix('.h5'), 'family': report['family'], 'ranks': report['ranks'],
            'selection': name_selection(report), 'criterion': report['criterion'], 'sparsity': report['sparsity_asked'],
            'removed': round(report['sparsity_prunable'], 3), 'removed_model': 1 - count_kept(report) / report['parameters_dense'],
            'allocation': find_allocation(report), 'parameters': report['parameters'], 'nonzero': count_kept(report),
            'parameters_dense': report['parameters_dense'], 'of_dense': report['parameters'] / report['parameters_dense'],
            'sites': sites, 'pruned_sites': ' and '.join(sorted({site['kind'] for site in sites})), 'bins': report.get('bins'),
            'stability': report.get('stability'), 'by_chance': report.get('stability_by_chance'),
            'stability_note': report.get('stability_note'),
            'warnings': find_warnings(report), 'doublings': report.get('doublings') or [], 'phases': report['run']['phases_s'],
            'phase_peaks': report['run'].get('phases_peak_bytes', {}), 'traffic': report['run'].get('traffic', {}),
            'resident': report['run']['peak_rss_bytes'], 'anonymous': report['run'].get('peak_anonymous_bytes', {}),
            'checksum': report['selection_checksum'], 'samples': report.get('samples'), 'job': job_of(report),
            'quality': quality, 'dense': dense, 'opens': find_opening(report), 'recovered': find_recovered(report, evaluations),
            'repair': report['repair'] + (', recovered' if 'recovery' in report else ''),
            'training': make_training(name.removesuffix('.h5'), report['recovery']) if 'recovery' in report else None}


def find_allocation(report):
    """Masks take nothing from the matrices, so there is nothing that the sites got."""
    allocation = dict(report.get('allocation') or {})
    if 'matrices' in report:
        allocation.pop('sparsity_chosen_matrices', None)
    return allocation


def find_opening(report):
    """What opens the model once it is exported; reports of perceptrons, and of earlier versions, don't say."""
    reason = f' ({report["opens_with_reason"]})' if 'opens_with_reason' in report else ''
    return f'{report["opens_with"]}{reason}' if 'opens_with' in report else None


def count_kept(report):
    """Masks set weights to zero and leave the matrices as they are."""
    return report.get('parameters_unmasked', report['parameters'])


def find_warnings(report):
    changes = [row['change'] for row in report.get('doublings') or () if 'change' in row]
    moves = [f'the scores still moved by {100 * changes[-1]:.0f} % at the last doubling of the samples'] \
        if changes and changes[-1] >= 0.05 else []
    return list(report.get('warnings', ())) + moves
