/* Memory of rank 0, which has the most, by phase: what is held throughout, and the largest sum of
 * arrays that stand together. Every term is an allocation of the phase's source, in bytes; arrays
 * that do not grow with the model or the data are in the base. Letters: docs/method.md. */
#include "plan.h"

#include "espalier/eval/eval.h"

#include <math.h>

enum {
  FEATURE_BLOCK = 128,    // columns of the pilot that one rank sorts at a time
  MOST_TARGETS = 4096,    // outputs that a stream fits at a time
  MOST_CALL = 1 << 27,    // bytes a reduction is cut into: what MPI allocates beside it
  BLAS_ROWS = 2 * 384,    // that OpenBLAS packs of a matrix in double precision, and keeps
  BLAS_BYTES = 32 << 20,  // its buffer
  TABLE_ENTRIES = 1 << 22 // n log n of the information
};

static double at_most(double a, double b) {
  return a < b ? a : b;
}

/* MPI receives an allreduce beside its buffer. */
static double reduction(const plan_job *plan, double bytes) {
  return plan->ranks > 1 ? at_most(bytes, MOST_CALL) : 0.0;
}

static double planes_bytes(const plan_job *plan, double units) {
  return units * (plan->bins - 1) * (double)(plan->share * plan->words) * 8.0;
}

/* Hidden states of the rank's samples. */
static double states_bytes(const plan_job *plan) {
  return (double)(plan->share * plan->batch_rows * plan->job.dense->max_state) * 4.0;
}

/* Floats a row that a stage's forward pass needs beside state and x: the normalised state, and
 * products that do not end in x (keys, values, the gate). */
static double scratch_bytes(const plan_job *plan, const esp_model *model, int stage) {
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
  return mine * f * 4.0 + (rows + at_most(mine, rows)) * FEATURE_BLOCK * 4.0;
}

/* collect/site_sums.c and stats_site.c: planes, sums (8 F^2), squares; then planes as the file has
 * them, or the covariance's rows, or what a reduction allocates. */
static double sums_bytes(const plan_job *plan, double f, bool covariance, double scratch) {
  const double one = 8.0 * (covariance ? f * f : f), sums = plan->parts * one,
               planes = planes_bytes(plan, f);
  const double squares = 4.0 * (double)plan->batch_rows * f;
  const double rows = covariance ? 4.0 * f * f / plan->ranks : 0.0;
  const double behind = fmax(fmax(scratch, reduction(plan, one)), planes + rows);
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
                      scratch_bytes(plan, model, stage));
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
    const double sums = 8.0 * n * n + reduction(plan, 8.0 * n * n);
    most = fmax(most, sums + plan_loaded_bytes(model, s) + 3.0 * scratch_bytes(plan, model, s));
  }
  return most + mine * (double)(plan->batch_rows * model->max_state) * 4.0;
}

static double collect_bytes(const plan_job *plan) {
  const esp_model *model = plan->job.dense;
  const double rows = (double)plan->batch_rows;
  double widest = fmax((double)model->max_features, (double)plan->logits), most = 0.0;
  widest = fmax(widest, (double)model->width.units);
  for (int s = 0; s <= model->n_stages; s++) most = fmax(most, collect_stage(plan, s));
  return states_bytes(plan) + 4.0 * rows * (widest + (double)model->n_outputs) +
         fmax(most, fisher_bytes(plan));
}

/* Matrices of joint information, in float, that every rank holds of a site. */
static double information_bytes(const plan_job *plan, int stage) {
  const double f = (double)plan_features(plan, stage);
  const unsigned needs = plan->job.criterion->needs;
  const int own = !!(needs & ESP_NEEDS_REDUNDANCY) + !!(needs & ESP_NEEDS_CONDITIONAL);
  return 4.0 * ((f + NOISE_UNITS) * (double)plan_upper(plan, stage) + own * f * f);
}

/* What a sweep holds beside its planes: the table of logarithms, panels of codes, or its matrix
 * while it is reduced. Sweeps of bins stand on the packed planes, and on those of the targets. */
static double sweep_bytes(const plan_job *plan, int stage, const plan_sweeps *sweeps,
                          const plan_sweep *sweep) {
  const esp_sweep_shape *shape = &sweep->shape;
  const esp_sweep_cost cost = esp_sweep_compute_cost(shape);
  const bool is_bins = shape->words == sweeps->bin_words;
  const double samples = (double)plan->rows / (is_bins ? plan->bins : 1.0);
  const double table = 8.0 * at_most(samples + 1.0, TABLE_ENTRIES);
  const double planes =
      is_bins ? planes_bytes(plan, (double)plan_targets(plan, stage)) +
                    (double)(shape->x_units * sweeps->bin_words[0]) * (plan->bins - 1) * 8.0
              : 0.0;
  return planes + table + (plan_uses_exchange(plan, shape) ? cost.panel_bytes : 0.0) +
         reduction(plan, 4.0 * (double)(shape->x_units * shape->y_units));
}

/* pipeline/information.c: planes of the site, with noise, those above and those of them that were
 * kept; what is known of pairs; a sweep. */
static double counts_bytes(const plan_job *plan, int stage) {
  const double f = (double)plan_features(plan, stage), above = (double)plan_above(plan, stage);
  const double site = planes_bytes(plan, f), upper = (double)plan_upper(plan, stage);
  const double loading = site + 2.0 * planes_bytes(plan, above);
  double sweep = 0.0;
  plan_sweeps sweeps;
  plan_sweeps_init(plan, stage, plan->rank_words, &sweeps);
  for (int i = 0; i < sweeps.n; i++)
    sweep = fmax(sweep, sweep_bytes(plan, stage, &sweeps, &sweeps.rows[i]));
  plan_sweeps_clear(&sweeps);
  const double counting = site + planes_bytes(plan, f + NOISE_UNITS) + planes_bytes(plan, upper) +
                          information_bytes(plan, stage) + sweep;
  return fmax(fmax(2.0 * site, loading), counting);
}

/* pipeline/evidence.c, select: covariance as read and in double, the map twice (as double in the
 * criterion), and the criterion's own matrices, A and Q in one (8 F (F + 1)). */
static double select_bytes(const plan_job *plan, int stage) {
  const esp_linear *linear = &plan->job.dense->stages[stage].consumer;
  const double f = (double)plan_features(plan, stage), map = 4.0 * f * (double)linear->outputs;
  const double weights = plan_loaded_bytes(plan->job.dense, stage);
  const unsigned needs = plan->job.criterion->needs;
  const double overlap = needs & ESP_NEEDS_REDUNDANCY ? 8.0 * f * f : 0.0;
  if (needs & ESP_NEEDS_INFORMATION)
    return information_bytes(plan, stage) + fmax(map + weights, map + overlap);
  if (!(needs & ESP_NEEDS_COVARIANCE)) return map + weights;
  const bool from_codes = !needs_activation_covariance(&plan->job);
  const double reading = 12.0 * f * f + (from_codes ? 2.0 * planes_bytes(plan, f) : 0.0);
  return fmax(reading,
              fmax(8.0 * f * f + map + weights, 16.0 * f * f + map + 3.0 * 8.0 * 64.0 * f));
}

/* All readers' matrices stand together on rank 0. */
static double select_width_bytes(const plan_job *plan) {
  const double d = (double)plan->job.dense->width.units;
  if (!has_width(&plan->job)) return 0.0;
  return (plan->job.dense->n_stages + 1) * 8.0 * d * (d + 1.0) + 16.0 * d * d;
}

/* A solution on every rank, and this rank's part of the factor and the right-hand sides. */
static double solve_bytes(const plan_job *plan, double k, double out) {
  return 8.0 * k * out + 8.0 * k * (k + out) / plan->ranks + reduction(plan, 8.0 * k * out);
}

static double consumer_bytes(const plan_job *plan, int stage) {
  const esp_linear *dense = &plan->job.dense->stages[stage].consumer;
  const esp_linear *cut = &plan->job.pruned->stages[stage].consumer;
  return 4.0 * (double)(cut->outputs * (dense->inputs + cut->inputs)) +
         plan_loaded_bytes(plan->job.dense, stage) + plan_loaded_bytes(plan->job.pruned, stage);
}

/* surgery/repair_least_squares.c: the covariance, G_K: and G_K: W^T, the solution. */
static double least_squares_bytes(const plan_job *plan, int stage) {
  const esp_linear *cut = &plan->job.pruned->stages[stage].consumer;
  const double f = (double)plan_features(plan, stage), k = (double)cut->inputs;
  const double out = (double)cut->outputs;
  if (!plan->job.repair->needs_covariance) return consumer_bytes(plan, stage);
  return 4.0 * f * f + consumer_bytes(plan, stage) + 4.0 * k * out +
         fmax(4.0 * k * f, solve_bytes(plan, k, out));
}

/* surgery/regression.c and correction.c: sums fitted and held out, their moments in float, the
 * start, a correction and its product, a solution. */
static double fit_bytes(const plan_job *plan, double k, double out) {
  const double sums = 2.0 * 8.0 * (k * k + k * out);
  const double moments = 2.0 * 4.0 * (k * k + k * out) + 2.0 * 4.0 * k * out;
  return sums + fmax(moments + solve_bytes(plan, k, out), reduction(plan, 8.0 * k * k));
}

/* Outputs of the widest map that is refitted at a time. */
static double count_targets(const plan_job *plan) {
  const esp_model *dense = plan->job.dense;
  double most = (double)dense->max_state;
  for (int i = 0; i < dense->width.n_readers && has_width(&plan->job); i++)
    most = fmax(most, (double)dense->width.readers[i].linear.outputs);
  return fmax(at_most(most, MOST_TARGETS), (double)dense->max_state);
}

/* surgery/streams.c: two streams of states, x twice, the target. */
static double streams_bytes(const plan_job *plan) {
  const esp_model *dense = plan->job.dense;
  const double widest =
      (double)(dense->max_features > dense->max_state ? dense->max_features : dense->max_state);
  return 2.0 * states_bytes(plan) +
         4.0 * (double)plan->batch_rows * (2.0 * widest + count_targets(plan));
}

static double sequential_bytes(const plan_job *plan, int stage) {
  const esp_linear *cut = &plan->job.pruned->stages[stage].consumer;
  const double k = (double)cut->inputs, out = (double)cut->outputs;
  const double forming =
      2.0 * 8.0 * (k * k + k * out) + scratch_bytes(plan, plan->job.dense, stage);
  return streams_bytes(plan) + consumer_bytes(plan, stage) + fmax(fit_bytes(plan, k, out), forming);
}

/* Refitted consumers stay in memory until they are written. */
static double repair_bytes(const plan_job *plan) {
  double most = 0.0, fitted = 0.0;
  for (int s = 0; s < plan->job.dense->n_stages; s++) {
    const esp_linear *cut = &plan->job.pruned->stages[s].consumer;
    most = fmax(most, least_squares_bytes(plan, s) + fitted);
    fitted += 4.0 * (double)(cut->inputs * cut->outputs);
  }
  for (int s = 0; s < plan->job.dense->n_stages && plan->job.repair->needs_data; s++)
    most = fmax(most, sequential_bytes(plan, s) + fitted);
  return most;
}

static double fitted_bytes(const plan_job *plan) {
  double sum = 0.0;
  for (int s = 0; s < plan->job.pruned->n_stages; s++)
    sum += 4.0 * (double)(plan->job.pruned->stages[s].consumer.inputs *
                          plan->job.pruned->stages[s].consumer.outputs);
  return sum;
}

/* A stage loaded, and this rank's rows of one weight as they are written. */
static double write_bytes(const plan_job *plan) {
  const esp_model *pruned = plan->job.pruned;
  double most = 0.0;
  for (int s = ESP_STAGE_EMBED; s <= pruned->n_stages; s++)
    most = fmax(most, plan_loaded_bytes(pruned, s) * (1.0 + 1.0 / plan->ranks));
  return most + fitted_bytes(plan);
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

json_t *plan_memory(const plan_job *plan) {
  const int n = plan->job.dense->n_stages;
  const double base = plan->machine.base_bytes;
  const double data = plan->job.repair->needs_data ? plan->data_bytes : 0.0;
  double counts = 0.0, selection = select_width_bytes(plan);
  for (int s = 0; s < n; s++)
    if (plan_is_selected(plan, s)) {
      counts = fmax(counts, counts_bytes(plan, s));
      selection = fmax(selection, select_bytes(plan, s));
    }
  json_t *phases = json_object();
  if (plan->collects) set(phases, "collect", base + plan->data_bytes + collect_bytes(plan));
  const double held = base + data + blas_bytes(plan);
  set(phases, "joint counts", held + counts);
  set(phases, "select", held + selection);
  const bool counts_halves = plan->job.criterion->needs & ESP_NEEDS_INFORMATION;
  if (plan_has_stability(plan))
    set(phases, "stability", held + (counts_halves ? fmax(counts, selection) : selection));
  set(phases, "repair", held + repair_bytes(plan));
  set(phases, "write", held + write_bytes(plan));
  set(phases, "eval", base + plan->data_bytes + eval_bytes(plan));
  return phases;
}
