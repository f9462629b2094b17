"""From rows to Markdown. A row is one pruned model: dict(model, seed, criterion, sparsity, repair, added_nats, ...)."""
import collections
import statistics
import textwrap

BEGIN, END = '<!-- made by bench/quality: begin -->', '<!-- made by bench/quality: end -->'
TEXT = """\
`python3 bench/quality`: {models}; seeds {seeds}; one rank a run; machine: {machines}.
The perceptron is that of `configs/fashion-mnist.yaml`, others those of `tests/models`. A seed is another network,
trained anew, of {trained}; of others, another half of the same network's
`calibration.h5` (`collect --seed`). The plus-minus is the standard deviation over the seeds. Measured on all
test images, or all of `heldout.h5`. Sparsity is asked of every site: hidden layers; ffn and attention. Loss is
cross-entropy a target in nats, *added* to that of the dense model."""
SHARED = """\
Rows are cut with `--allocation uniform`, so that every site loses the given sparsity of its units; but units of
{criteria} are shared out between sites, and these rows are compared at equal parameters: `--sparsity` is the fraction of
parameters that the uniform cut removes."""


def spread(values):
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def plus_minus(values, form='%.4f'):
    """Mean and spread in words; one value has no spread."""
    mean, deviation = spread(values)
    return form % mean + (f' ± {deviation:.4f}' if len(values) > 1 else '')


def average_ranks(values):
    """Ranks from 1 for {name: value}, least first; equal values share the mean of their ranks."""
    return {name: (1 + sum(v < mine for v in values.values()) + sum(v <= mine for v in values.values())) / 2
            for name, mine in values.items()}


class Results:
    """Rows by cell (model, sparsity), criterion and seed, for one repair."""

    def __init__(self, rows, repair):
        self.rows = collections.defaultdict(lambda: collections.defaultdict(dict))
        for row in rows:
            if row['repair'] == repair:
                self.rows[row['model'], row['sparsity']][row['criterion']][row['seed']] = row
        self.criteria = list(dict.fromkeys(row['criterion'] for row in rows if row['repair'] == repair))
        models = {model for model, _ in self.rows}
        self.common = [c for c in self.criteria if {m for (m, _), by in self.rows.items() if c in by} == models]

    def seeds(self, cell, criteria):
        """Seeds that all these criteria were measured with."""
        return sorted(set.intersection(*(set(self.rows[cell].get(c, ())) for c in criteria)))

    def added(self, cell, criterion, seeds=None):
        by_seed = self.rows[cell].get(criterion, {})
        return [by_seed[seed]['added_nats'] for seed in (sorted(by_seed) if seeds is None else seeds)]

    def cell_ranks(self):
        """{cell: {criterion: rank}} of the cells where every criterion common to all models was measured."""
        ranks = {}
        for cell in self.rows:
            if seeds := self.seeds(cell, self.common):
                ranks[cell] = average_ranks({c: statistics.mean(self.added(cell, c, seeds)) for c in self.common})
        return ranks

    def mean_ranks(self):
        cells = self.cell_ranks().values()
        return {c: statistics.mean(ranks[c] for ranks in cells) for c in self.common} if cells else {}

    def compare(self, cell, default, rival):
        """The default's added loss less the rival's, seed by seed; empty if not both were measured."""
        seeds = self.seeds(cell, [default, rival])
        return [mine - other for mine, other in zip(self.added(cell, default, seeds), self.added(cell, rival, seeds))]


def percent(sparsity):
    return f'{100 * float(sparsity):g} %'


def table(heads, lines):
    rule = '|---' * len(heads) + '|'
    return '\n'.join(['| ' + ' | '.join(heads) + ' |', rule, *('| ' + ' | '.join(line) + ' |' for line in lines)])


def rank_section(results):
    ranks = {repair: result.mean_ranks() for repair, result in results.items()}
    named = {c for by in ranks.values() for c in by}
    most = max(ranks.values(), key=len)
    criteria = sorted(named, key=lambda c: (most.get(c, len(named)), c))
    heads = [f'{repair} ({len(results[repair].cell_ranks())} cells)' for repair in ranks]
    lines = [[f'`{c}`', *(f'{by[c]:.2f}' if c in by else '' for by in ranks.values())] for c in criteria]
    return '### Mean rank over (model, sparsity)\n1 is least loss added; criteria that ran on every model.\n\n' + table(
        ['criterion', *heads], lines)


def find_shared(rows):
    """Criteria whose units are shared out between sites on some model."""
    return [c for c in dict.fromkeys(row['criterion'] for row in rows)
            if any(row['criterion'] == c and row['allocation'] != 'uniform' for row in rows)]


def find_difference(rows, criterion):
    """How far a criterion's parameters are from the uniform cut's at most, in percent of the dense model's."""
    def place(row):
        return row['model'], row['seed'], row['sparsity']
    even = {place(row): row['parameters'] for row in rows if row['allocation'] == 'uniform'}
    return max((100 * abs(row['parameters'] - even[place(row)]) / row['parameters_dense'] for row in rows
                if row['criterion'] == criterion and place(row) in even), default=None)


def describe_allocations(rows):
    """Which rows are of another shape than the rest; where their allocation is uniform after all."""
    shared = find_shared(rows)
    if not shared:
        return ''
    text = SHARED.format(criteria=' and '.join(f'`{c}`' for c in shared))
    if most := [f'{off:.2f} % (`{c}`)' for c in shared if (off := find_difference(rows, c)) is not None]:
        text += f" What is left differs by at most {' and '.join(most)} of the dense model's parameters."
    for c in shared:
        mine = [row for row in rows if row['criterion'] == c]
        if even := dict.fromkeys(row['model'] for row in mine if row['allocation'] == 'uniform'):
            text += f" On {', '.join(even)} `{c}` itself means uniform."
    return textwrap.fill(text, 118, break_on_hyphens=False)


def compare_lines(result, default, rivals):
    lines, lost = [], []
    for cell, ranks in result.cell_ranks().items():
        words = [plus_minus(result.added(cell, default))]
        for rival in rivals:
            pairs = result.compare(cell, default, rival)
            words.append(plus_minus(pairs, '**%+.4f**' if statistics.mean(pairs) > 0 else '%+.4f'))
            if statistics.mean(pairs) > 0:
                lost.append((cell, rival, pairs))
        lines.append([cell[0], percent(cell[1]), *words, f'`{min(ranks, key=ranks.get)}`'])
    return lines, lost


def describe_losses(repair, lost, comparisons):
    def is_far(pairs):
        mean, deviation = spread(pairs)
        return len(pairs) > 1 and mean > deviation
    text = f'With repair `{repair}` it loses {len(lost)} of {comparisons} comparisons'
    far = [f"{cell[0]} {percent(cell[1])} against `{rival}` ({plus_minus(pairs, '%+.4f')})"
           for cell, rival, pairs in lost if is_far(pairs)]
    single = sum(len(pairs) == 1 for _, _, pairs in lost)
    text += f', {len(far)} of them by more than the spread' + (f": {'; '.join(far)}." if far else '.')
    return text + (f' Of {single} there is no spread: one seed.' if single else '')


def rival_section(results, default, rivals, equal):
    parts = []
    for repair, result in results.items():
        present = [r for r in rivals if r in result.common]
        if default in result.common and present:
            lines, lost = compare_lines(result, default, present)
            heads = ['model', 'sparsity', f'`{default}`', *(f'less `{r}`' for r in present), 'least']
            parts += [describe_losses(repair, lost, len(lines) * len(present)), table(heads, lines)]
    head = (f'At equal {equal}. Added loss of `{default}`, and that less the '
            "rival's, seed by seed: above 0 (bold) it loses. Last: the criterion with the least mean of all.")
    title = f'### `{default}` against ' + ', '.join(f'`{r}`' for r in rivals)
    return '\n\n'.join([title, head, *parts]) if parts else ''


def compute_ratio(rows, default, rival='flap', sparsity='0.5', repair='least-squares'):
    """Loss that the default adds over what the rival adds: {language model: ratio}, and that of the sums."""
    result, losses = Results(rows, repair), {}
    language = dict.fromkeys(row['model'] for row in rows if row.get('context'))
    for model in language:
        cell = (model, sparsity)
        if cell in result.rows and (seeds := result.seeds(cell, [default, rival])):
            losses[model] = [statistics.mean(result.added(cell, c, seeds)) for c in (default, rival)]
    total = [sum(pair[i] for pair in losses.values()) for i in (0, 1)]
    return {model: mine / other for model, (mine, other) in losses.items()}, total[0] / total[1] if losses else None


def ratio_section(rows, default):
    ratios, mean = compute_ratio(rows, default)
    if mean is None:
        return ''
    each = ', '.join(f'{model} {ratio:.3f}' for model, ratio in ratios.items())
    return (f'Language models at 50 %, least squares: `{default}` adds {100 * mean:.1f} % of the loss that `flap` adds '
            f'(of the sums over the models; singly {each}, whose mean is {statistics.mean(ratios.values()):.3f}).')


def detail_table(result, model):
    cells = [cell for cell in result.rows if cell[0] == model]
    first = [next(iter(next(iter(result.rows[cell].values())).values())) for cell in cells]
    heads = [f"{percent(cell[1])} ({100 * row['parameters'] / row['parameters_dense']:.1f} % left)"
             for cell, row in zip(cells, first)]
    figure = 'perplexity' if first[0].get('context') else 'accuracy'

    def words(cell, criterion):
        rows = list(result.rows[cell].get(criterion, {}).values())
        if not rows:
            return ''
        mean = statistics.mean(row[figure] for row in rows)
        last = f'{mean:.2f}' if figure == 'perplexity' else f'{100 * mean:.2f} %'
        return plus_minus([row['added_nats'] for row in rows]) + f' ({last})'
    present = [c for c in result.criteria if any(c in result.rows[cell] for cell in cells)]
    return table(['criterion', *heads], [[f'`{c}`', *(words(cell, c) for cell in cells)] for c in present])


def describe_model(rows, model):
    rows = [row for row in rows if row['model'] == model]
    dense, row = {row['seed']: row['dense'] for row in rows}, rows[-1]
    mean, deviation = spread(list(dense.values()))
    if row.get('context'):
        text = f'Dense: perplexity {mean:.2f}' + (f' ± {deviation:.2f}' if deviation else '')
        text += f" at T {row['context']}"
    else:
        text = f'Dense: accuracy {100 * mean:.2f} %' + (f' ± {100 * deviation:.2f}' if deviation else '')
    calibration = row['calibration']
    of_rows = f" ({calibration['rows']:,} rows)" if calibration['rows'] != calibration['samples'] else ''
    return (f"{text} on {row['samples']:,} samples; {row['parameters_dense']:,} parameters; calibrated on "
            f"{calibration['samples']:,} samples{of_rows}.")


def detail_section(rows, results, figures):
    parts = ['### Every cell\nAdded loss in nats, and in brackets the mean perplexity or accuracy.']
    for model in dict.fromkeys(row['model'] for row in rows):
        parts.append(f'#### {model}\n{describe_model(rows, model)}')
        parts += [f'![{model}: added loss against remaining parameters]({path})' for path in figures
                  if path.stem == f'quality-{model}']
        parts += [f'Repair `{repair}`:\n\n{detail_table(result, model)}' for repair, result in results.items()
                  if any(cell[0] == model for cell in result.rows)]
    return '\n\n'.join(parts)


def make_section(rows, defaults, rivals, figures=()):
    """Markdown; each of the defaults is compared with the rivals."""
    def distinct(field):
        return ', '.join(str(value) for value in dict.fromkeys(row[field] for row in rows))
    results = {repair: Results(rows, repair) for repair in dict.fromkeys(row['repair'] for row in rows)}
    trained = ', '.join(dict.fromkeys(row['model'] for row in rows if row['is_trained_anew'])) or 'none'
    text = TEXT.format(models=distinct('model'), seeds=distinct('seed'), machines=distinct('machine'), trained=trained)
    if len(set(row['program'] for row in rows)) > 1:
        text += f"\nMeasured by more than one build of the program (SHA-256 {distinct('program')})."
    shared = find_shared(rows)
    parts = [text, describe_allocations(rows), rank_section(results)]
    for default in dict.fromkeys(defaults):
        equal = 'parameters' if default in shared else 'shape'
        parts += [rival_section(results, default, rivals, equal), ratio_section(rows, default)]
    parts.append(detail_section(rows, results, figures))
    return '\n\n'.join(part for part in parts if part)


def replace_section(path, section):
    text = path.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f'{path}: expected the two lines {BEGIN} and {END} once each')
    path.write_text(text[:text.index(BEGIN)] + f'{BEGIN}\n{section}\n{END}' + text[text.index(END) + len(END):])
