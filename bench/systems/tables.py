"""Markdown tables of what was measured: results[sparsity, *system] = {seed: row}."""
import statistics


def get_quality(row):
    return 100 * row['accuracy'] if 'accuracy' in row else row['perplexity']


def get_speed(row):
    return next(row[key] for key in ('tokens_per_s', 'images_per_s') if key in row)


def spread(values):
    return f'{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}' if len(values) > 1 else f'{values[0]:.2f}'


def describe_size(rows, dense):
    """Nonzero, KiB."""
    nonzero = statistics.mean(row['nonzero_parameters'] for row in rows) / dense['nonzero_parameters']
    return [f'{100 * nonzero:.1f} %', f"{statistics.mean(row['bytes'] for row in rows) / 1024:.0f}"]


def print_row(cells):
    print('| ' + ' | '.join(cells) + ' |')


def print_long(results, systems, sparsities, dense):
    """A row a system and sparsity."""
    print_row(['sparsity', 'system', 'granularity', 'accuracy' if 'accuracy' in dense else 'perplexity', 'nonzero', 'KiB', 'speed'])
    print('|---|---|---|---|---|---|---|')
    for sparsity in (0.0, *sparsities):
        for system in systems:
            rows = list(results.get((sparsity, *system), {}).values())
            if rows:
                speed = statistics.median(map(get_speed, rows)) / get_speed(dense)
                print_row([f'{100 * sparsity:g} %', *system, spread([get_quality(row) for row in rows]),
                           *describe_size(rows, dense), f'{speed:.2f}'])


def print_wide(results, systems, sparsities, dense):
    """A row a system, a column a sparsity; sizes at the one next to 90 %."""
    detail = min(sparsities, key=lambda sparsity: abs(sparsity - 0.9))
    at = f'{100 * detail:g} %'
    print_row(['system', 'granularity', *(f'{100 * sparsity:g} %' for sparsity in sparsities), f'nonzero, {at}', f'KiB, {at}'])
    print('|---|---|' + '---|' * (len(sparsities) + 2))
    for system in systems:
        of = [list(results.get((sparsity, *system), results.get((0.0, *system), {})).values()) for sparsity in sparsities]
        if any(of):
            sizes = of[sparsities.index(detail)]
            print_row([*system, *(spread([get_quality(row) for row in rows]) if rows else '-' for rows in of),
                       *(describe_size(sizes, dense) if sizes else ['-', '-'])])


def print_settings(results, systems, sparsities):
    """The rate, or penalty, that was chosen."""
    print_row(['system', 'granularity', *(f'{100 * sparsity:g} %' for sparsity in sparsities)])
    print('|---|---|' + '---|' * len(sparsities))
    for system in systems:
        of = [list(results.get((sparsity, *system), results.get((0.0, *system), {})).values()) for sparsity in sparsities]
        if any(of):
            print_row([*system, *(describe_setting(rows[0]) if rows else '-' for rows in of)])


def describe_setting(row):
    return f"penalty {row['penalty']:.3g}" if row['penalty'] else row['rate'] or 'default'
