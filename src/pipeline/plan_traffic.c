/* Bytes that a rank hands to each collective, phase after phase, as comm/traffic.h counts them:
 * buffers of allreduces and broadcasts, a rank's own part of gathers, what an exchange receives. */
#include "plan.h"

#include "espalier/comm/traffic.h"

enum {
  SOLVES = 7,        // of a correction: six ridges, and the fit
  TEXT_BYTES = 4000, // configuration, descriptions of files
  TENSOR_BYTES = 280 // a weight in the list of what a checkpoint has
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
  if (plan->logits < model->n_outputs) add(self, ESP_ALLREDUCE, 8.0 * (double)model->n_outputs);
  add_site(plan, self, (double)plan->logits, false);
  add(self, ESP_BCAST, plan->read_bytes);
}

/* What reading a site's statistics broadcasts. */
static void add_load(const plan_job *plan, traffic *self, double f, bool covariance) {
  add(self, ESP_BCAST, f * (4.0 * (plan->bins - 1) + 4.0 * 8.0) + (covariance ? 4.0 * f * f : 0.0));
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

static bool needs_codes(const plan_job *plan) {
  return plan->job.criterion->needs & ESP_NEEDS_COVARIANCE &&
         !needs_activation_covariance(&plan->job);
}

/* Counts and marginals of all sweeps, and the matrix that each gives. Sweeps of bins reduce the
 * marginals of x alone, and once those of the targets. */
static void add_information(const plan_job *plan, traffic *self, int stage, const int64_t *words) {
  plan_sweeps sweeps;
  plan_sweeps_init(plan, stage, words, &sweeps);
  add_load(plan, self, (double)plan_features(plan, stage), false);
  add_load(plan, self, (double)plan_above(plan, stage), false);
  for (int i = 0; i < sweeps.n; i++) {
    const esp_sweep_shape *shape = &sweeps.rows[i].shape;
    const bool is_bins = shape->words == sweeps.bin_words;
    add_counts(plan, self, &sweeps.rows[i]);
    add_marginals(plan, self, (double)(is_bins ? plan_targets(plan, stage) : shape->y_units));
    add(self, ESP_ALLREDUCE, 4.0 * (double)(shape->x_units * shape->y_units));
  }
  plan_sweeps_clear(&sweeps);
}

/* The moments, the codes' correlation where it is asked for, and the ranking. Covariances are read
 * by their owner alone. */
static void add_ranking(const plan_job *plan, traffic *self, int stage, const int64_t *words) {
  plan_sweep sweep = {plan_own_sweep(plan, stage, words), 1.0};
  sweep.shape.visitor = 1;
  add_load(plan, self, (double)plan_features(plan, stage), false);
  if (needs_codes(plan)) {
    add_counts(plan, self, &sweep);
    add_marginals(plan, self, (double)plan_features(plan, stage));
  }
  add(self, ESP_BCAST, 16.0 * (double)plan->job.dense->stages[stage].units + 8.0);
}

/* Each half ranked anew; the odd one's moments follow from those of the whole and of the even one,
 * read once more for its covariance, or with each site's planes. */
static void add_stability(const plan_job *plan, traffic *self, int stage) {
  const bool has_covariance = needs_activation_covariance(&plan->job);
  const bool has_information = plan->job.criterion->needs & ESP_NEEDS_INFORMATION;
  const double f = (double)plan_features(plan, stage);
  const double moments = 4.0 * 8.0 * f;
  for (int half = 0; half < 2; half++) {
    const int64_t *words = plan->half_words + half * plan->ranks;
    add_ranking(plan, self, stage, words);
    if (has_information) add_information(plan, self, stage, words);
  }
  add(self, ESP_BCAST, (has_covariance ? 3.0 : 1.0) * moments);
  if (has_information) add(self, ESP_BCAST, moments + 4.0 * 8.0 * (double)plan_above(plan, stage));
}

static void add_selection(const plan_job *plan, traffic *self, int stage) {
  add_ranking(plan, self, stage, plan->rank_words);
  add_information(plan, self, stage, plan->rank_words);
  if (plan_has_stability(plan)) add_stability(plan, self, stage);
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
  const bool is_whole = cut->inputs == plan->job.dense->stages[stage].consumer.inputs;
  if (plan->job.repair->needs_covariance && !is_whole) {
    add_load(plan, self, (double)plan_features(plan, stage), true);
    add(self, ESP_ALLREDUCE, 8.0 * k * out);
  }
  if (plan->job.repair->needs_data) add_fit(self, k, out);
}

/* Moments of a reader of the stream; from the halves once more, as in add_stability. */
static void add_reader(const plan_job *plan, traffic *self) {
  const double d = (double)plan->job.dense->width.units;
  add_load(plan, self, d, false);
  if (!plan_has_stability(plan)) return;
  add_load(plan, self, 2.0 * d, false);
  add(self, ESP_BCAST, (needs_activation_covariance(&plan->job) ? 3.0 : 1.0) * 4.0 * 8.0 * d);
}

/* Readers of the width, and their fits; a tied head is the embedding, which stays. */
static void add_width(const plan_job *plan, traffic *self) {
  const esp_width *cut = &plan->job.pruned->width;
  const int head = plan->job.dense->n_stages;
  const esp_repair *repair = plan->job.repair;
  if (!has_width(&plan->job)) return;
  for (int stage = 0; stage <= head; stage++) add_reader(plan, self);
  add(self, ESP_BCAST,
      (plan_has_stability(plan) ? 48.0 : 16.0) * (double)plan->job.dense->width.units);
  for (int i = 0; i < cut->n_readers && (repair->needs_data || repair->needs_data_for_width); i++)
    if (cut->readers[i].stage < head || !plan->job.dense->is_head_tied)
      add_fit(self, (double)cut->readers[i].linear.inputs, (double)cut->readers[i].linear.outputs);
}

json_t *plan_traffic(const plan_job *plan) {
  traffic self = {0};
  const int n = plan->ranks > 1 ? plan->job.dense->n_stages : 0;
  if (n > 0 && plan->collects) add_collection(plan, &self);
  if (n > 0 && plan->job.repair->needs_data) add(&self, ESP_BCAST, plan->read_bytes);
  for (int s = 0; s < n; s++) {
    if (plan_is_selected(plan, s)) add_selection(plan, &self, s);
    add_repair(plan, &self, s);
  }
  if (n > 0) add_width(plan, &self);
  if (n > 0) add(&self, ESP_BCAST, TEXT_BYTES + TENSOR_BYTES * plan->job.dense->n_weights);
  json_t *all = json_object();
  for (int i = 0; i < ESP_N_COLLECTIVES; i++)
    if (i != ESP_AGREEMENT)
      json_object_set_new(all, esp_collective_name((esp_collective)i),
                          json_pack("{s:I}", "bytes", (json_int_t)self.bytes[i]));
  return all;
}
