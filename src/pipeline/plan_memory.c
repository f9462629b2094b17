/* Memory of rank 0, which has the most, by phase: what is held throughout, and the largest sum of
 * arrays that stand together. Every term is an allocation of the phase's source, in bytes; arrays
 * that do not grow with the model or the data are in the base. Letters: docs/method/README.md. */
#include "plan.h"

#include "espalier/eval/eval.h"

#include <math.h>

enum {
  FEATURE_BLOCK = 128,    // columns of the pilot that one rank sorts at a time
  MOST_CALL = 1 << 27,    // bytes a reduction is cut into: what MPI allocates beside it
  BLAS_ROWS = 2 * 384,    // that OpenBLAS packs of a matrix in double precision, and keeps
  BLAS_BYTES = 32 << 20,  // its buffer
  TABLE_ENTRIES = 1 << 22 // n log n of the information
};

static double at_most(double a, double b) {
  return a < b ? a : b;
}

/* MPI receives an allreduce beside its buffer. */
double plan_reduction_bytes(const plan_job *plan, double bytes) {
  return plan->ranks > 1 ? at_most(bytes, MOST_CALL) : 0.0;
}

double plan_planes_bytes(const plan_job *plan, double units) {
  return units * (plan->bins - 1) * (double)(plan->share * plan->words) * 8.0;
}

/* Hidden states of the rank's samples. */
double plan_states_bytes(const plan_job *plan) {
  return (double)(plan->share * plan->batch_rows * plan->job.dense->max_state) * 4.0;
}

/* Floats a row that a stage's forward pass needs beside state and x: the normalised state, and
 * products that do not end in x (keys, values, the gate). */
double plan_scratch_bytes(const plan_job *plan, const esp_model *model, int stage) {
  const esp_stage *self = &model->stages[stage];
  const double width = (double)(model->width.units > 0 ? model->width.units : 1);
  double outputs = 0.0;
  if (model->width.units == 0) return 0.0;
  for (int i = 0; i < model->n_weights; i++)
    if (model->weights[i].stage == stage && model->weights[i].rank == 2 &&
        i != self->consumer.weight)
      outputs += (double)esp_weight_count(&model->weights[i]) / width;
  return 4.0 * (double)plan->batch_rows *
         fmax(width, width + outputs - (double)plan_features(plan, stage));
}

/* collect/pilot.c: this rank's pilot rows, then a block of all ranks' columns beside its part. */
static double pilot_bytes(const plan_job *plan, double f) {
  const double rows = (double)plan->pilot_rows;
  const double mine = at_most(ceil(rows / (double)plan->batch_rows), (double)plan->share) *
                      (double)plan->batch_rows;
  return mine * f * 4.0 + (rows + at_most(mine, rows)) * at_most(f, FEATURE_BLOCK) * 4.0;
}

/* collect/site_sums.c and stats_site.c: planes, sums (8 F^2), squares; then planes as the file has
 * them, or the covariance's rows, or what a reduction allocates. */
static double sums_bytes(const plan_job *plan, double f, bool covariance, double scratch) {
  const double one = 8.0 * (covariance ? f * f : f), sums = plan->parts * one,
               planes = plan_planes_bytes(plan, f);
  const double squares = 4.0 * (double)plan->batch_rows * f;
  const double rows = covariance ? 4.0 * f * f / plan->ranks : 0.0;
  const double behind = fmax(fmax(scratch, plan_reduction_bytes(plan, one)), planes + rows);
  return planes + sums + squares + behind;
}

static double site_bytes(const plan_job *plan, double f, bool covariance, double scratch) {
  return fmax(pilot_bytes(plan, f), sums_bytes(plan, f, covariance, scratch));
}

static double collect_stage(const plan_job *plan, int stage) {
  const esp_model *model = plan->job.dense;
  const double width = (double)model->width.units;
  double most = 0.0;
  if (stage < model->n_stages)
    most = site_bytes(plan, (double)plan_features(plan, stage), plan->has_covariance,
                      plan_scratch_bytes(plan, model, stage));
  else
    most = fmax(site_bytes(plan, (double)plan->logits, false, 4.0 * width),
                24.0 * (double)model->n_outputs);
  if (plan->has_width) most = fmax(most, site_bytes(plan, width, plan->has_covariance, 0.0));
  return plan_loaded_bytes(model, stage) + most;
}

/* collect/fisher.c: the state before every stage of a rank's rows, and an exact sum (8 D^2). */
static double fisher_bytes(const plan_job *plan) {
  const esp_model *model = plan->job.dense;
  const double batches = ceil((double)plan->fisher_rows / (double)plan->batch_rows);
  const double mine = ceil(batches / plan->ranks) * (model->n_stages + 2.0) + 1.0;
  double most = 0.0;
  if (plan->fisher_rows == 0) return 0.0;
  for (int s = 0; s < model->n_stages; s++) {
    const double n = (double)model->stages[s].state_out;
    const double sums = 8.0 * n * n + plan_reduction_bytes(plan, 8.0 * n * n);
    most =
        fmax(most, sums + plan_loaded_bytes(model, s) + 3.0 * plan_scratch_bytes(plan, model, s));
  }
  return most + mine * (double)(plan->batch_rows * model->max_state) * 4.0;
}

/* collect/layers.c: the stream before a layer, while the layer runs. */
static double before_bytes(const plan_job *plan) {
  if (!plan->has_width || esp_model_count_layers(plan->job.dense) == 0) return 0.0;
  return (double)(plan->share * plan->batch_rows * plan->job.dense->width.units) * 4.0;
}

static double collect_bytes(const plan_job *plan) {
  const esp_model *model = plan->job.dense;
  const double rows = (double)plan->batch_rows;
  double widest = fmax((double)model->max_features, (double)plan->logits), most = 0.0;
  widest = fmax(widest, (double)model->width.units);
  for (int s = 0; s <= model->n_stages; s++) most = fmax(most, collect_stage(plan, s));
  return plan_states_bytes(plan) + before_bytes(plan) +
         4.0 * rows * (widest + (double)model->n_outputs) + fmax(most, fisher_bytes(plan));
}

/* Matrices of joint information, in float, that every rank holds of a site. */
static double information_bytes(const plan_job *plan, const plan_pair *pair) {
  const double f = (double)pair->features;
  const unsigned needs = plan->job.criterion->needs;
  const int own = !!(needs & ESP_NEEDS_REDUNDANCY) + !!(needs & ESP_NEEDS_CONDITIONAL);
  return 4.0 * ((f + NOISE_UNITS) * (double)pair->upper + own * f * f);
}

/* What a sweep holds beside its planes: the table of logarithms, panels of codes, or its matrix
 * while it is reduced. Sweeps of bins stand on the packed planes, and on those of the targets. */
static double sweep_bytes(const plan_job *plan, const plan_pair *pair, const plan_sweeps *sweeps,
                          const plan_sweep *sweep) {
  const esp_sweep_shape *shape = &sweep->shape;
  const esp_sweep_cost cost = esp_sweep_compute_cost(shape);
  const bool is_bins = shape->words == sweeps->bin_words;
  const double samples = (double)plan->rows / (is_bins ? plan->bins : 1.0);
  const double table = 8.0 * at_most(samples + 1.0, TABLE_ENTRIES);
  const double planes =
      is_bins ? plan_planes_bytes(plan, (double)plan_targets(plan, pair)) +
                    (double)(shape->x_units * sweeps->bin_words[0]) * (plan->bins - 1) * 8.0
              : 0.0;
  return planes + table + (plan_uses_exchange(plan, shape) ? cost.panel_bytes : 0.0) +
         plan_reduction_bytes(plan, 4.0 * (double)(shape->x_units * shape->y_units));
}

/* pipeline/information.c: planes of the site, with noise, those above and those of them that were
 * kept; what is known of pairs; a sweep. */
static double counts_bytes(const plan_job *plan, const plan_pair *pair) {
  const double f = (double)pair->features, above = (double)pair->above;
  const double site = plan_planes_bytes(plan, f), upper = (double)pair->upper;
  const double loading = site + 2.0 * plan_planes_bytes(plan, above);
  double sweep = 0.0;
  plan_sweeps sweeps;
  plan_sweeps_init(plan, pair, plan->rank_words, &sweeps);
  for (int i = 0; i < sweeps.n; i++)
    sweep = fmax(sweep, sweep_bytes(plan, pair, &sweeps, &sweeps.rows[i]));
  plan_sweeps_clear(&sweeps);
  const double counting = site + plan_planes_bytes(plan, f + NOISE_UNITS) +
                          plan_planes_bytes(plan, upper) + information_bytes(plan, pair) + sweep;
  return fmax(fmax(2.0 * site, loading), counting);
}

static void take_counts(const plan_job *plan, const plan_pair *pair, void *most) {
  *(double *)most = fmax(*(double *)most, counts_bytes(plan, pair));
}

/* The codes' correlation on its owner, and the panels that it is counted from. */
static double correlation_bytes(const plan_job *plan, int stage) {
  const int64_t f = plan_features(plan, stage);
  esp_sweep_shape shape = plan_own_sweep(plan, f, plan->rank_words);
  shape.visitor = 1;
  const double panels =
      plan_uses_exchange(plan, &shape) ? esp_sweep_compute_cost(&shape).panel_bytes : 0.0;
  return 8.0 * (double)(f * f) + panels;
}

/* pipeline/evidence.c, select: covariance as read and in double, the map twice (as double in the
 * criterion), and the criterion's own matrices, A and Q in one (8 F (F + 1)). */
static double select_bytes(const plan_job *plan, int stage) {
  const esp_linear *linear = &plan->job.dense->stages[stage].consumer;
  const double f = (double)plan_features(plan, stage), map = 4.0 * f * (double)linear->outputs;
  const double weights = plan_loaded_bytes(plan->job.dense, stage);
  const unsigned needs = plan->job.criterion->needs;
  const double overlap = needs & ESP_NEEDS_REDUNDANCY ? 8.0 * f * f : 0.0;
  const plan_pair uncut = plan_pair_uncut(plan, stage), cut = plan_pair_of_stage(plan, stage);
  if (needs & ESP_NEEDS_INFORMATION)
    return information_bytes(plan, plan->is_priced ? &uncut : &cut) +
           fmax(map + weights, map + overlap);
  if (!(needs & ESP_NEEDS_COVARIANCE)) return map + weights;
  const bool from_codes = !needs_activation_covariance(&plan->job);
  const double planes = from_codes ? plan_planes_bytes(plan, f) : 0.0;
  const double reading =
      from_codes ? fmax(2.0 * planes, planes + correlation_bytes(plan, stage)) : 12.0 * f * f;
  return fmax(reading,
              fmax(8.0 * f * f + map + weights, 16.0 * f * f + map + 3.0 * 8.0 * 64.0 * f));
}

static double count_outputs(const plan_job *plan, int stage) {
  double sum = 0.0;
  int n;
  const esp_reader *readers = esp_model_get_readers(plan->job.dense, stage, &n);
  for (int i = 0; i < n; i++) sum += (double)readers[i].linear.outputs;
  return sum;
}

/* pipeline/reader_evidence.c: a reader's maps, beside its weights or its covariance. */
static double reader_bytes(const plan_job *plan, int stage) {
  const double d = (double)plan->job.dense->width.units, map = 4.0 * d * count_outputs(plan, stage);
  const plan_pair pair = plan_pair_of_reader(plan, stage);
  const unsigned needs = plan->job.criterion->needs;
  return map + plan_loaded_bytes(plan->job.dense, stage) +
         (needs & ESP_NEEDS_INFORMATION ? information_bytes(plan, &pair) : 0.0) +
         (needs & ESP_NEEDS_REDUNDANCY ? 8.0 * d * d : 0.0);
}

/* A greedy criterion's matrices of all readers stand together on rank 0. */
static double select_width_bytes(const plan_job *plan) {
  const double d = (double)plan->job.dense->width.units;
  double most = 0.0;
  if (!has_width(&plan->job)) return 0.0;
  for (int stage = 0; stage <= plan->job.dense->n_stages; stage++)
    most = fmax(most, reader_bytes(plan, stage));
  if (!(plan->job.criterion->needs & ESP_NEEDS_COVARIANCE)) return most;
  return (plan->job.dense->n_stages + 1) * 8.0 * d * (d + 1.0) + fmax(most, 16.0 * d * d);
}

/* A stage loaded, and this rank's rows of one weight as they are written. */
static double write_bytes(const plan_job *plan) {
  const esp_model *pruned = plan->job.pruned;
  double most = 0.0;
  for (int s = ESP_STAGE_EMBED; s <= pruned->n_stages; s++)
    most = fmax(most, plan_loaded_bytes(pruned, s) * (1.0 + 1.0 / plan->ranks));
  return most + plan_fitted_bytes(plan);
}

/* All weights, and a pass. */
static double eval_bytes(const plan_job *plan) {
  const esp_model *dense = plan->job.dense;
  const double floats = (double)(dense->max_state + dense->max_features + dense->n_outputs);
  double sum = 4.0 * (double)plan->batch_rows * floats;
  for (int s = ESP_STAGE_EMBED; s <= dense->n_stages; s++) sum += plan_loaded_bytes(dense, s);
  return sum;
}

/* The BLAS keeps what it has packed of the largest site's matrices (measured, OpenBLAS). */
static double blas_bytes(const plan_job *plan) {
  double most = 0.0;
  if (!(plan->job.criterion->needs & ESP_NEEDS_COVARIANCE)) return 0.0;
  for (int s = 0; s < plan->job.dense->n_stages; s++)
    if (plan_is_selected(plan, s)) most = fmax(most, (double)plan_features(plan, s));
  return at_most(8.0 * BLAS_ROWS * most, BLAS_BYTES);
}

static void set(json_t *phases, const char *name, double bytes) {
  json_object_set_new(phases, name, json_real(bytes));
}

static double selection_bytes(const plan_job *plan) {
  double most = select_width_bytes(plan);
  if (drops_layers(&plan->job)) return plan_layers_bytes(plan);
  for (int s = 0; s < plan->job.dense->n_stages; s++)
    if (plan_is_selected(plan, s)) most = fmax(most, select_bytes(plan, s));
  return most;
}

static void set_selection(const plan_job *plan, double held, json_t *phases) {
  const double selection = selection_bytes(plan);
  double counts = 0.0;
  plan_for_each_pair(plan, take_counts, &counts);
  counts = fmax(counts, select_width_bytes(plan)); // gathered reader by reader
  const bool counts_halves = plan->job.criterion->needs & ESP_NEEDS_INFORMATION;
  if (!drops_layers(&plan->job)) set(phases, "joint counts", held + counts);
  set(phases, "select", held + selection);
  if (plan_has_stability(plan))
    set(phases, "stability", held + (counts_halves ? fmax(counts, selection) : selection));
}

json_t *plan_memory(const plan_job *plan) {
  const plan_job *fit = plan_of_repair(plan);
  const double base = plan->machine.base_bytes;
  const double data = plan_holds_samples(plan) ? fit->data_bytes : 0.0;
  const double held = base + data + blas_bytes(plan);
  json_t *phases = json_object();
  if (plan->collects) set(phases, "collect", base + plan->data_bytes + collect_bytes(plan));
  if (!is_unstructured(&plan->job)) set_selection(plan, held, phases);
  if (plan->tries) set(phases, "trial", held + plan_trial_bytes(fit));
  set(phases, "repair", held + plan_mend_bytes(fit));
  set(phases, "write", held + write_bytes(plan));
  set(phases, "eval", base + plan->data_bytes + eval_bytes(plan));
  return phases;
}
