/* Work by phase over all ranks. Values are those of an elementwise pass with an exponential (an
 * activation, a softmax); factors of them are measured with a profiler on the three test models. */
#include "plan_work.h"

#include <math.h>

/* In values: an element of a softmax over the logits in double precision, of the same with a label
 * drawn from it, of a column that is gathered, sorted and cut into bins, of a feature that is
 * encoded and summed, of a count of a pair and its logarithm, of an exact sum that is read, of a
 * matrix that a solver is given element by element, of a weight of a mask in each pass. */
enum {
  SOLVES = 7,
  CHOOSE_PASSES = 2,
  LOGIT = 4,
  LABEL = 7,
  SORT = 6,
  ENCODE = 3,
  CELL = 8,
  EXACT = 3,
  GIVE = 2,
  MASK = 4
};

static double matrix_parameters(const esp_model *model, int stage) {
  double sum = 0.0;
  for (int i = 0; i < model->n_weights; i++)
    if (model->weights[i].stage == stage && model->weights[i].rank == 2)
      sum += (double)esp_weight_count(&model->weights[i]);
  return sum;
}

/* Exponentials of a row: an activation a neuron; of a head as many as there are tokens, half of
 * them masked where text is causal. */
static double count_values(const plan_job *plan, const esp_model *model, int stage) {
  const esp_stage *self = &model->stages[stage];
  const double tokens = (double)plan->tokens;
  return self->width > 1 ? (double)self->units * tokens : (double)esp_stage_features(self);
}

/* A pass through a stage. */
static void add_forward(const plan_job *plan, const esp_model *model, int stage, double rows,
                        plan_cost *self) {
  self->flops += rows * 2.0 * matrix_parameters(model, stage);
  self->values += rows * count_values(plan, model, stage);
}

/* What is measured of a site: the pilot, then codes and sums; second moments, half of a product. */
static void add_site(const plan_job *plan, double f, bool covariance, plan_cost *self) {
  const double rows = (double)plan->rows;
  self->values += (SORT * (double)plan->pilot_rows + ENCODE * rows) * f;
  if (!covariance) return;
  self->flops += rows * f * f;
  self->reduced += 8.0 * plan->parts * f * f;
  self->bytes += 16.0 * f * f * (double)plan->n_batches / plan->ranks; // sums once a micro-batch
  self->values += EXACT * plan->parts * f * f;
}

/* Forward, once more for the gradients' scale and once for them; backward; a second moment. */
static void add_fisher(const plan_job *plan, plan_cost *self) {
  const esp_model *model = plan->job.dense;
  const double rows = (double)plan->fisher_rows, d = (double)model->width.units;
  if (rows <= 0.0) return;
  for (int s = 0; s < model->n_stages; s++) {
    const double out = (double)model->stages[s].state_out;
    for (int pass = 0; pass < 3; pass++) add_forward(plan, model, s, rows, self);
    self->flops += rows * (4.0 * matrix_parameters(model, s) + out * out);
    self->values += rows * 2.0 * count_values(plan, model, s) + EXACT * out * out;
    self->reduced += 8.0 * out * out;
  }
  self->flops += rows * 4.0 * (double)model->n_outputs * fmax(d, 1.0);
  self->values += LABEL * rows * (double)model->n_outputs;
}

static plan_cost collect_cost(const plan_job *plan) {
  const esp_model *model = plan->job.dense;
  const double d = (double)model->width.units, outputs = (double)model->n_outputs;
  const double rows = (double)(plan->rows + plan->pilot_rows);
  plan_cost self = {0};
  for (int s = 0; s < model->n_stages; s++) {
    add_forward(plan, model, s, rows, &self);
    add_site(plan, (double)plan_features(plan, s), plan->has_covariance, &self);
  }
  for (int s = 0; s <= model->n_stages && plan->has_width; s++)
    add_site(plan, d, plan->has_covariance, &self);
  add_site(plan, (double)plan->logits, false, &self);
  self.flops += CHOOSE_PASSES * rows * 2.0 * outputs * fmax(d, 1.0);
  if (plan->logits < model->n_outputs) self.values += LOGIT * (double)plan->rows * outputs;
  add_fisher(plan, &self);
  return self;
}

static void add_sweeps(const plan_job *plan, const plan_pair *pair, void *context) {
  plan_cost *self = context;
  plan_sweeps sweeps;
  plan_sweeps_init(plan, pair, plan->rank_words, &sweeps);
  for (int i = 0; i < sweeps.n; i++) {
    const double times = sweeps.rows[i].times;
    const esp_sweep_cost cost = esp_sweep_compute_cost(&sweeps.rows[i].shape);
    const bool exchanges = plan_uses_exchange(plan, &sweeps.rows[i].shape);
    self->words += times * (exchanges ? cost.exchange_words : cost.allreduce_words);
    self->reduced += times * (exchanges ? cost.exchanged_bytes_max / 2.0 : cost.reduced_bytes);
    self->values += times * CELL * (double)cost.cells + (double)plan->rows; // a table of logarithms
  }
  self->values += (double)plan->rows * NOISE_UNITS;
  self->bytes += 4.0 * plan_planes_bytes(plan, (double)(pair->features + pair->above));
  plan_sweeps_clear(&sweeps);
}

static plan_cost counts_cost(const plan_job *plan) {
  plan_cost self = {0};
  plan_for_each_pair(plan, add_sweeps, &self);
  if (drops_layers(&plan->job)) self.words += plan_layers_words(plan);
  return self;
}

/* The codes' correlation of a site. */
static void add_correlation(const plan_job *plan, int64_t features, plan_cost *self) {
  const esp_sweep_shape shape = plan_own_sweep(plan, features, plan->rank_words);
  if (!(plan->job.criterion->needs & ESP_NEEDS_COVARIANCE) ||
      needs_activation_covariance(&plan->job))
    return;
  const esp_sweep_cost cost = esp_sweep_compute_cost(&shape);
  self->words += cost.allreduce_words;
  self->reduced += cost.reduced_bytes;
  self->values += CELL * (double)cost.cells;
}

/* Inverse, products with the map and downdates: about 3 F^3 + 2 F^2 P; a metric's root and its
 * product with the map. In double precision, on one rank. */
static double count_elimination(const plan_job *plan, double f, double outputs) {
  const unsigned needs = plan->job.criterion->needs;
  const double metric = needs & ESP_NEEDS_METRIC && plan->fisher_rows > 0
                            ? outputs * outputs * (outputs + 2.0 * f)
                            : 0.0;
  return needs & ESP_NEEDS_COVARIANCE ? f * f * (3.0 * f + 2.0 * outputs) + metric : 0.0;
}

/* Sites are ranked one a rank where nothing of the selection above enters. */
static plan_cost select_cost(const plan_job *plan) {
  plan_cost self = {0};
  double most = 0.0, sum = 0.0, d = (double)plan->job.dense->width.units;
  bool depends = false;
  for (int s = 0; s < plan->job.dense->n_stages; s++) {
    if (!plan_is_selected(plan, s)) continue;
    const double outputs = (double)plan->job.dense->stages[s].consumer.outputs;
    const double flops = count_elimination(plan, (double)plan_features(plan, s), outputs);
    const bool again = plan->is_priced && plan->depends[s];
    depends = depends || plan->depends[s];
    sum += again ? 2.0 * flops : flops;
    most = fmax(most, flops);
    self.values += matrix_parameters(plan->job.dense, s) / plan->ranks;
    add_correlation(plan, plan_features(plan, s), &self);
  }
  self.serial = depends ? sum : fmax(most, sum / plan->ranks);
  for (int s = 0; s <= plan->job.dense->n_stages && has_width(&plan->job); s++) {
    self.serial += count_elimination(plan, d, d);
    if (plan_has_reader(plan, s)) add_correlation(plan, (int64_t)d, &self);
  }
  return self;
}

/* Each half has half the words and all of the rest. */
static plan_cost stability_cost(const plan_job *plan) {
  plan_cost self = select_cost(plan);
  plan_cost counts = {0};
  if (plan->job.criterion->needs & ESP_NEEDS_INFORMATION) counts = counts_cost(plan);
  self.serial *= 2.0;
  self.values = 2.0 * self.values + 2.0 * counts.values;
  self.reduced = 2.0 * self.reduced + 2.0 * counts.reduced;
  self.words += counts.words;
  self.bytes += counts.bytes;
  return self;
}

static void add_fit(const plan_job *plan, double k, double out, plan_cost *self) {
  const double rows = (double)plan->rows, sums = k * k + k * out;
  self->flops += rows * (k * k + 2.0 * k * out) + SOLVES * 2.0 * k * k * out;
  self->solver += SOLVES * (k * k * k / 3.0 + 2.0 * k * k * out);
  self->solves += SOLVES;
  self->reduced += 16.0 * sums + SOLVES * 8.0 * k * out;
  self->bytes += 16.0 * sums * (double)plan->n_batches / plan->ranks;
  self->values += rows * ENCODE * (k + out);
  self->every += 3.0 * EXACT * sums + SOLVES * GIVE * sums;
}

static void add_least_squares(const plan_job *plan, int stage, plan_cost *self) {
  const esp_linear *cut = &plan->job.pruned->stages[stage].consumer;
  const double k = (double)cut->inputs, out = (double)cut->outputs;
  self->flops += 2.0 * k * out * (double)plan_features(plan, stage);
  self->solver += k * k * k / 3.0 + 2.0 * k * k * out;
  self->solves += 1.0;
  self->every += GIVE * (k * k + k * out);
}

/* Two streams forward (the pruned one twice), and a fit. */
static void add_stream(const plan_job *plan, int stage, plan_cost *self) {
  const esp_linear *cut = &plan->job.pruned->stages[stage].consumer;
  const double rows = (double)plan->rows;
  for (int pass = 0; pass < 2; pass++) add_forward(plan, plan->job.pruned, stage, rows, self);
  add_fit(plan, (double)cut->inputs, (double)cut->outputs, self);
}

static plan_cost repair_cost(const plan_job *plan) {
  const esp_model *dense = plan->job.dense, *pruned = plan->job.pruned;
  const esp_repair *repair = plan->job.repair;
  plan_cost self = {0};
  if (is_unstructured(&plan->job)) self.every = MASK * plan_masks_weights(plan);
  for (int s = 0; s < dense->n_stages && plan_repair_reads(plan); s++)
    add_forward(plan, dense, s, (double)plan->rows, &self);
  for (int s = 0; s < pruned->n_stages; s++) {
    if (repair->needs_covariance && !drops_layers(&plan->job)) add_least_squares(plan, s, &self);
    if (repair->needs_data) add_stream(plan, s, &self);
  }
  for (int i = 0; i < pruned->width.n_readers && has_width(&plan->job); i++) {
    const esp_linear *cut = &pruned->width.readers[i].linear;
    if (plan_repair_reads(plan)) add_fit(plan, (double)cut->inputs, (double)cut->outputs, &self);
  }
  return self;
}

static plan_cost trial_cost(const plan_job *plan) {
  const esp_model *model = plan->job.pruned;
  const double rows = plan_trial_rows(plan), outputs = (double)model->n_outputs;
  plan_cost self = {0};
  for (int i = 0; i < PLAN_TRIALS; i++) {
    for (int s = 0; s < model->n_stages; s++) {
      add_least_squares(plan, s, &self);
      add_forward(plan, model, s, rows, &self);
    }
    self.flops += rows * 2.0 * outputs * fmax((double)model->width.units, 1.0);
    self.values += LOGIT * rows * outputs;
  }
  return self;
}

/* Every rank loads whole stages, and writes its rows. */
static plan_cost write_cost(const plan_job *plan) {
  const esp_model *pruned = plan->job.pruned;
  plan_cost self = {.datasets = (double)pruned->n_weights + 2.0 * (double)pruned->n_stages};
  for (int s = ESP_STAGE_EMBED; s <= pruned->n_stages; s++) {
    self.every += plan_loaded_bytes(pruned, s) / 4.0;
    self.bytes += plan_loaded_bytes(pruned, s) / plan->ranks;
  }
  return self;
}

static void add_cost(const plan_cost *from, plan_cost *to) {
  to->flops += from->flops;
  to->solver += from->solver;
  to->serial += from->serial;
  to->values += from->values;
  to->every += from->every;
  to->words += from->words;
  to->bytes += from->bytes;
  to->reduced += from->reduced;
  to->solves += from->solves;
  to->datasets += from->datasets;
}

/* Of the last collection, and of those before it. */
static plan_cost sum_steps(const plan_job *plan, plan_cost (*of)(const plan_job *)) {
  plan_cost self = of(plan);
  for (int64_t i = 0; i < plan->doublings; i++) {
    const plan_cost step = of(&plan->earlier[i]);
    add_cost(&step, &self);
  }
  return self;
}

int plan_list_costs(const plan_job *plan, plan_phase phases[PLAN_PHASES]) {
  int n = 0;
  const bool selects = !is_unstructured(&plan->job);
  if (plan->collects) phases[n++] = (plan_phase){"collect", sum_steps(plan, collect_cost)};
  if (selects) phases[n++] = (plan_phase){"joint counts", sum_steps(plan, counts_cost)};
  if (selects) phases[n++] = (plan_phase){"select", sum_steps(plan, select_cost)};
  if (plan_has_stability(plan)) phases[n++] = (plan_phase){"stability", stability_cost(plan)};
  if (plan->tries) phases[n++] = (plan_phase){"trial", trial_cost(plan_of_repair(plan))};
  phases[n++] = (plan_phase){"repair", repair_cost(plan_of_repair(plan))};
  phases[n++] = (plan_phase){"write", write_cost(plan)};
  return n;
}
