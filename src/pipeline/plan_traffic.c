/* Bytes that a rank hands to each collective, phase after phase, as comm/traffic.h counts them:
 * buffers of allreduces and broadcasts, a rank's own source of gathers, what an exchange receives.
 */
#include "plan.h"

#include "espalier/comm/traffic.h"

enum {
  SOLVES = 7,        // of a correction: six ridges, and the fit
  TEXT_BYTES = 1000, // configuration
  META_BYTES = 5000, // description of statistics
  TENSOR_BYTES = 130 // a weight in the list of what a checkpoint has
};

typedef struct traffic {
  double bytes[ESP_N_COLLECTIVES];
} traffic;

static void add(traffic *self, esp_collective kind, double bytes) {
  self->bytes[kind] += bytes;
}

/* An exact sum of n cells, with the three numbers that guard it. */
static void add_exact(traffic *self, double n) {
  add(self, ESP_ALLREDUCE, 8.0 * n + 24.0);
}

/* The pilot's columns to their ranks, edges and scales back, then moments and second moments. */
static void add_site(const plan_job *plan, traffic *self, double f, bool covariance) {
  add(self, ESP_GATHER, 4.0 * (double)plan->pilot_rows * f / plan->ranks);
  add(self, ESP_ALLREDUCE, f * (4.0 * (plan->bins - 1) + 4.0 + 8.0 + 8.0));
  for (int part = 0; part < plan->parts; part++) {
    add_exact(self, f);
    add_exact(self, covariance ? f * f : f);
    add_exact(self, f);
  }
}

static void add_collection(const plan_job *plan, traffic *self) {
  const esp_model *model = plan->job.dense;
  const double width = (double)model->width.units;
  for (int s = 0; s < model->n_stages; s++) {
    const double outputs = (double)model->stages[s].state_out;
    add_site(plan, self, (double)plan_features(plan, s), plan->has_covariance);
    if (plan->has_width) add_site(plan, self, width, plan->has_covariance);
    if (plan->fisher_rows == 0) continue;
    add(self, ESP_ALLREDUCE, 8.0 * outputs);
    add_exact(self, outputs * outputs);
  }
  if (plan->has_width) add_site(plan, self, width, plan->has_covariance);
  if (plan->has_width) add(self, ESP_ALLREDUCE, 8.0 * (double)esp_model_count_layers(model));
  if (plan->logits < model->n_outputs) add(self, ESP_ALLREDUCE, 8.0 * (double)model->n_outputs);
  add_site(plan, self, (double)plan->logits, false);
  add(self, ESP_BCAST, plan->read_bytes + META_BYTES);
}

/* Statistics as a whole, or a half of them: the odd one's moments follow from those of the whole
 * and of the even one. */
typedef struct source {
  const int64_t *words; // (ranks) a plane
  bool is_odd;
} source;

static source get_half(const plan_job *plan, int half) {
  return (source){plan->half_words + half * plan->ranks, half == 1};
}

static double moments_bytes(double f) {
  return 4.0 * 8.0 * f;
}

/* What reading a site's statistics broadcasts. */
static void add_load(const plan_job *plan, traffic *self, source of, double f) {
  add(self, ESP_BCAST, f * 4.0 * (plan->bins - 1) + (of.is_odd ? 2.0 : 1.0) * moments_bytes(f));
}

static void add_marginals(const plan_job *plan, traffic *self, double units) {
  add(self, ESP_ALLREDUCE, 8.0 * units * (plan->bins - 1));
}

static void add_counts(const plan_job *plan, traffic *self, const plan_sweep *sweep) {
  const esp_sweep_cost cost = esp_sweep_compute_cost(&sweep->shape);
  const bool exchanges = plan_uses_exchange(plan, &sweep->shape);
  add_marginals(plan, self, sweep->times * (double)sweep->shape.x_units);
  add(self, exchanges ? ESP_EXCHANGE : ESP_IALLREDUCE,
      sweep->times * (exchanges ? cost.exchanged_bytes : cost.reduced_bytes));
}

/* Counts and marginals of all sweeps, and the matrix that each gives. Sweeps of bins reduce the
 * marginals of x alone, and once those of the targets. */
static void add_information(const plan_job *plan, traffic *self, source of, const plan_pair *pair) {
  plan_sweeps sweeps;
  plan_sweeps_init(plan, pair, of.words, &sweeps);
  add_load(plan, self, of, (double)pair->above);
  for (int i = 0; i < sweeps.n; i++) {
    const esp_sweep_shape *shape = &sweeps.rows[i].shape;
    const bool is_bins = shape->words == sweeps.bin_words;
    add_counts(plan, self, &sweeps.rows[i]);
    add_marginals(plan, self, (double)(is_bins ? plan_targets(plan, pair) : shape->y_units));
    add(self, ESP_ALLREDUCE, 4.0 * (double)(shape->x_units * shape->y_units));
  }
  plan_sweeps_clear(&sweeps);
}

/* A stage's own planes are read for it once more. */
static void add_stage_information(const plan_job *plan, traffic *self, source of, plan_pair pair) {
  add_load(plan, self, of, (double)pair.features);
  add_information(plan, self, of, &pair);
}

/* The codes' correlation where it is asked for; covariances are read by their owner alone, but what
 * the odd half's follows from by all. */
static void add_covariance(const plan_job *plan, traffic *self, source of, int64_t features,
                           int owner) {
  plan_sweep sweep = {plan_own_sweep(plan, features, of.words), 1.0};
  sweep.shape.visitor = owner + 1;
  if (!(plan->job.criterion->needs & ESP_NEEDS_COVARIANCE)) return;
  if (needs_activation_covariance(&plan->job)) {
    add(self, ESP_BCAST, of.is_odd ? 2.0 * moments_bytes((double)features) : 0.0);
    return;
  }
  add_counts(plan, self, &sweep);
  add_marginals(plan, self, (double)features);
}

/* Stages that hang on nothing above them are ranked one a rank, from the top; of halves of the
 * samples all are, since what is kept is known. */
static int find_owner(const plan_job *plan, int stage, bool is_half) {
  const bool reads = plan->job.criterion->needs & ESP_NEEDS_INFORMATION;
  int before = 0;
  if (reads || (plan->depends[stage] && !is_half)) return 0;
  for (int s = stage + 1; s < plan->job.dense->n_stages; s++)
    before += is_half ? plan_is_cut(plan, s) : plan_is_selected(plan, s) && !plan->depends[s];
  return before % plan->ranks;
}

static void add_ranking(const plan_job *plan, traffic *self, source of, int stage) {
  const int64_t features = plan_features(plan, stage);
  add_load(plan, self, of, (double)features);
  add_covariance(plan, self, of, features, find_owner(plan, stage, of.words != plan->rank_words));
  add(self, ESP_BCAST, 16.0 * (double)plan->job.dense->stages[stage].units + 8.0);
}

/* Information is for the report where the criterion reads none. */
static void add_selection(const plan_job *plan, traffic *self, int stage) {
  const source all = {plan->rank_words, false};
  const bool reads = plan->job.criterion->needs & ESP_NEEDS_INFORMATION;
  if (plan->is_priced) add_ranking(plan, self, all, stage);
  if (plan->is_priced && reads)
    add_stage_information(plan, self, all, plan_pair_uncut(plan, stage));
  if (!plan->is_priced || plan->depends[stage]) add_ranking(plan, self, all, stage);
  add_stage_information(plan, self, all, plan_pair_of_stage(plan, stage));
  for (int half = 0; half < 2 && plan_has_stability(plan) && plan_is_cut(plan, stage); half++) {
    add_ranking(plan, self, get_half(plan, half), stage);
    if (reads)
      add_stage_information(plan, self, get_half(plan, half), plan_pair_of_stage(plan, stage));
  }
}

/* What a stage, or the head, reads of the stream; a vocabulary's head also which logits were
 * measured. */
static void add_reader(const plan_job *plan, traffic *self, source of, int stage) {
  const int64_t d = plan->job.dense->width.units;
  const plan_pair pair = plan_pair_of_reader(plan, stage);
  add_load(plan, self, of, (double)d);
  if (plan->job.criterion->needs & ESP_NEEDS_INFORMATION) add_information(plan, self, of, &pair);
  add_covariance(plan, self, of, d, 0);
  if (stage == plan->job.dense->n_stages && plan->job.dense->task == ESP_TASK_LANGUAGE)
    add(self, ESP_BCAST, 8.0 * (double)plan->logits);
}

static void add_readers(const plan_job *plan, traffic *self, source of) {
  for (int stage = 0; stage <= plan->job.dense->n_stages; stage++)
    if (plan_has_reader(plan, stage)) add_reader(plan, self, of, stage);
  add(self, ESP_BCAST, 16.0 * (double)plan->job.dense->width.units);
}

static void add_width_selection(const plan_job *plan, traffic *self) {
  if (!has_width(&plan->job)) return;
  add_readers(plan, self, (source){plan->rank_words, false});
  for (int half = 0; half < 2 && plan_has_stability(plan); half++)
    add_readers(plan, self, get_half(plan, half));
}

static void add_selections(const plan_job *plan, traffic *self) {
  for (int s = 0; s < plan->job.dense->n_stages; s++)
    if (plan_is_selected(plan, s)) add_selection(plan, self, s);
  add_width_selection(plan, self);
  if (!drops_layers(&plan->job)) return;
  add(self, ESP_BCAST, plan_layers_read_bytes(plan));
  add(self, ESP_ALLREDUCE, plan_layers_reduced_bytes(plan));
}

/* Sums of a fit, fitted and held out, and its corrections. */
static void add_fit(traffic *self, double n_in, double n_out) {
  add(self, ESP_BCAST, 8.0 * (n_in + n_out + 1.0));
  for (int part = 0; part < 2; part++) {
    add_exact(self, n_in * n_in);
    add_exact(self, n_in * n_out);
    add_exact(self, n_in + 2.0 * n_out + 1.0);
  }
  add(self, ESP_ALLREDUCE, SOLVES * 8.0 * n_in * n_out);
}

static void add_repair(const plan_job *plan, traffic *self, int stage) {
  const esp_linear *cut = &plan->job.pruned->stages[stage].consumer;
  const double k = (double)cut->inputs, out = (double)cut->outputs;
  const bool is_whole =
      drops_layers(&plan->job) || cut->inputs == plan->job.dense->stages[stage].consumer.inputs;
  if (plan->job.repair->needs_covariance && !is_whole) {
    const double f = (double)plan_features(plan, stage);
    add_load(plan, self, (source){0}, f);
    add(self, ESP_BCAST, 4.0 * f * f);
    add(self, ESP_ALLREDUCE, 8.0 * k * out);
  }
  if (plan->job.repair->needs_data) add_fit(self, k, out);
}

/* Fits of the width's readers; a tied head is the embedding, which stays. */
static void add_reader_fits(const plan_job *plan, traffic *self) {
  const esp_width *cut = &plan->job.pruned->width;
  const int head = plan->job.dense->n_stages;
  if (!has_width(&plan->job) || !plan_repair_reads(plan)) return;
  for (int i = 0; i < cut->n_readers; i++)
    if (cut->readers[i].stage < head || !plan->job.dense->is_head_tied)
      add_fit(self, (double)cut->readers[i].linear.inputs, (double)cut->readers[i].linear.outputs);
}

static void add_repairs(const plan_job *plan, traffic *self) {
  if (plan_holds_samples(plan)) add(self, ESP_BCAST, plan_of_repair(plan)->read_bytes);
  for (int s = 0; s < plan->job.pruned->n_stages; s++) add_repair(plan, self, s);
  add_reader_fits(plan, self);
  if (is_unstructured(&plan->job)) add(self, ESP_BCAST, plan_masks_read_bytes(plan));
}

static void add_trials(const plan_job *plan, traffic *self) {
  const plan_job trial = plan_of_trial(plan);
  for (int i = 0; plan->tries && i < PLAN_TRIALS; i++)
    for (int s = 0; s < plan->job.pruned->n_stages; s++) add_repair(&trial, self, s);
}

static void add_step(const plan_job *plan, traffic *self) {
  if (plan->collects) add_collection(plan, self);
  add_selections(plan, self);
}

static traffic sum_traffic(const plan_job *plan) {
  traffic self = {0};
  for (int64_t i = 0; i < plan->doublings; i++) add_step(&plan->earlier[i], &self);
  add_step(plan, &self);
  add_trials(plan, &self);
  add_repairs(plan, &self);
  add(&self, ESP_BCAST, TEXT_BYTES + TENSOR_BYTES * plan->job.dense->n_weights);
  return self;
}

json_t *plan_traffic(const plan_job *plan) {
  const traffic self = plan->ranks > 1 ? sum_traffic(plan) : (traffic){0};
  json_t *all = json_object();
  for (int i = 0; i < ESP_N_PLANNED; i++)
    json_object_set_new(all, esp_collective_name((esp_collective)i),
                        json_pack("{s:I}", "bytes", (json_int_t)self.bytes[i]));
  return all;
}
