"""The tables that are printed, in Markdown."""
import statistics

from rows import Peer


def print_row(*cells):
    print('| ' + ' | '.join(cells) + ' |')


def print_head(*cells):
    print_row(*cells)
    print('|' + '---|' * len(cells))


def say_sparsity(sparsity):
    return f'{100 * sparsity:g} %'


def say_perplexity(answer, part):
    return f"{answer[part]['perplexity']:.2f}" if part in answer else ''


def say_sizes(neurons):
    return str(neurons[0]) if len(set(neurons)) == 1 else ', '.join(map(str, neurons))


def name_row(row):
    return row.name if isinstance(row, Peer) else f'espalier, {row.name}'


def print_quality(model, dense, results):
    print(f"{model}, dense: perplexity {dense['perplexity']:.2f}, {dense['parameters']:,} parameters, "
          f"{dense['bytes'] / 1024:.0f} KiB\n")
    print_head('neurons gone', 'pruned by', 'parameters', 'neurons of a layer', 'after the cut', 'trained by PyTorch',
               'trained by espalier')
    for sparsity, row, answer in results:
        print_row(say_sparsity(sparsity), name_row(row), f"{answer['cut']['parameters']:,}",
                  say_sizes(answer['cut']['neurons']), *(say_perplexity(answer, part) for part in ('cut', 'pytorch', 'espalier')))


def print_costs(results):
    print()
    print_head('neurons gone', 'pruned by', 'CPU s', 'of it start', 'peak MiB', 'KiB', 'opened by')
    for sparsity, row, answer in results:
        prune = answer['cut']['usage']
        start = f"{prune['start']:.1f}" if 'start' in prune else ''
        print_row(say_sparsity(sparsity), name_row(row), f"{prune['seconds']:.1f}", start, f"{prune['peak_kib'] / 1024:.0f}",
                  f"{answer['cut']['bytes'] / 1024:.0f}", prune['opening'])


def say_median(values, unit):
    return f'{statistics.median(values):.0f} {unit} (of {len(values)}: {min(values):.0f} to {max(values):.0f})'


def print_training(results):
    print()
    print_head('training', 'CPU time', 'peak memory')
    for name, part in (('PyTorch', 'pytorch'), ('espalier', 'espalier')):
        usages = [answer[part]['usage'] for _, _, answer in results if part in answer]
        if usages:
            print_row(name, say_median([usage['seconds'] for usage in usages], 's'),
                      say_median([usage['peak_kib'] / 1024 for usage in usages], 'MiB'))


def print_check(dense, results):
    """How far both measurements of a loss are apart."""
    parts = [dense] + [answer[part] for _, _, answer in results for part in ('cut', 'pytorch', 'espalier') if part in answer]
    apart = [abs(part['loss'] - part['eval']) for part in parts if part['eval'] is not None]
    print(f'\n`espalier eval` opened {len(apart)} of {len(parts)} models; its loss differs by {max(apart):.1e} nats at most.')


def print_tables(model, dense, results):
    print_quality(model, dense, results)
    print_costs(results)
    print_training(results)
    print_check(dense, results)
