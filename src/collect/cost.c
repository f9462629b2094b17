#include "espalier/collect/cost.h"

#include "collect_internal.h"

#include "espalier/linalg/cost.h"
#include "espalier/model/cost.h"
#include "espalier/model/family.h"
#include "espalier/stats/cost.h"

#include <math.h>

/* In elementwise values (measured): an element of the pilot that is gathered, sorted and cut into
 * bins; one that is encoded and summed; a logit that a label is drawn by. */
enum { SORT = 6, ENCODE = 3, LABEL = 7 };

/* A collection to be priced. */
typedef struct collection {
  const esp_model *model;
  const esp_collect_options *options;
  const esp_shard_shape *samples;
  esp_stats_shape stats;
  bool has_width;
  int last;
  int64_t pilot_batches;
  double pilot_rows, fisher_rows, logits;
} collection;

int64_t esp_collect_count_logits(const esp_model *model, const esp_collect_options *options) {
  return collect_count_logits(model, options);
}

static int64_t count_fisher_batches(const esp_model *model, const esp_collect_options *options,
                                    const esp_shard_shape *samples) {
  if (!collect_has_likelihood(model) || options->fisher_tokens == 0) return 0;
  return esp_shard_shape_count_batches(samples, options->fisher_tokens);
}

int64_t esp_collect_count_fisher_rows(const esp_model *model, const esp_collect_options *options,
                                      const esp_shard_shape *samples) {
  return esp_shard_shape_count_spread(samples, count_fisher_batches(model, options, samples));
}

static void init(collection *self, const esp_model *model, const esp_collect_options *options,
                 const esp_shard_shape *samples) {
  const int64_t batches = esp_shard_shape_count_batches(samples, options->pilot);
  *self =
      (collection){.model = model,
                   .options = options,
                   .samples = samples,
                   .has_width = options->width && model->width.units > 0,
                   .last = collect_find_last(model, options),
                   .pilot_batches = batches,
                   .pilot_rows = (double)esp_shard_shape_count_spread(samples, batches),
                   .fisher_rows = (double)esp_collect_count_fisher_rows(model, options, samples),
                   .logits = (double)collect_count_logits(model, options)};
  esp_stats_shape_init(&self->stats, samples, (int)options->bins, options->halves);
  self->stats.lacks_codes = options->leaves_codes;
  self->stats.plain_halves = options->plain_halves;
}

static double smaller(double a, double b) {
  return a < b ? a : b;
}

/* This rank's rows of the pilot, kept until their site is summed. */
static double count_pilot_rows(const collection *self) {
  const double batches = smaller((double)self->pilot_batches, (double)self->samples->share);
  return batches * (double)self->samples->batch_rows;
}

static double pilot_bytes(const collection *self, double f) {
  return sizeof(float) * count_pilot_rows(self) * f;
}

/* pilot.c: a block of all ranks' columns beside this one's part of them; the columns go to their
 * ranks, edges and scales come back. */
static void add_pilot(const collection *self, double f, esp_cost *cost) {
  const esp_shard_shape *samples = self->samples;
  const double rows = self->pilot_rows;
  const double block = (rows + smaller(count_pilot_rows(self), rows)) * smaller(f, PILOT_FEATURES);
  esp_cost_touch(cost, sizeof(float) * block);
  esp_cost_send(cost, samples->ranks, ESP_GATHER, sizeof(float) * rows * f / samples->ranks);
  const int edges = self->options->leaves_codes ? 0 : self->stats.bins - 1;
  esp_cost_send(cost, samples->ranks, ESP_ALLREDUCE,
                f * ((double)sizeof(float) * (edges + 1) + 2.0 * sizeof(double)));
  cost->work.values += SORT * rows * f;
}

/* Moments of a site: each part of the micro-batches has sums of x, by sequences, and of squares,
 * unless it has a matrix; a matrix is of all where the parts have but its diagonal. */
typedef struct sum_counts {
  int parts, squares, matrices;
} sum_counts;

static sum_counts count_sums(const collection *self, bool covariance) {
  const int parts = self->options->halves ? 2 : 1;
  const int matrices = !covariance ? 0 : self->options->plain_halves ? 1 : parts;
  return (sum_counts){parts, matrices == parts ? 0 : parts, matrices};
}

static void add_moments(const collection *self, double f, sum_counts sums, esp_cost *cost) {
  const esp_exact_shape vector = {.ranks = self->samples->ranks, .rows = f, .cols = 1.0};
  const double matrices = sums.matrices;
  const esp_exact_shape matrix = {.ranks = self->samples->ranks,
                                  .rows = f,
                                  .cols = f,
                                  .samples = (double)self->samples->rows / matrices,
                                  .batches = (double)self->samples->n_batches / matrices,
                                  .is_gram = true};
  for (int i = 0; i < 2 * sums.parts + sums.squares; i++) esp_exact_add_cost(&vector, cost);
  for (int i = 0; i < sums.matrices; i++) {
    esp_exact_add_cost(&matrix, cost);
    cost->work.values += ESP_EXACT_READ * f * f;
  }
}

/* site_sums.c, stats_site.c: planes and sums, while x is made and squared in the same scratch; then
 * planes as the file has them, and this rank's rows of the covariance. */
static void add_sums(const collection *self, double f, bool covariance, double scratch,
                     esp_cost *cost) {
  const sum_counts sums = count_sums(self, covariance);
  const double planes = esp_stats_plane_bytes(&self->stats, f);
  const double squares = sizeof(float) * (double)self->samples->batch_rows * f;
  const double held =
      planes + sums.matrices * esp_exact_bytes(f, f) + sums.squares * esp_exact_bytes(f, 1.0);
  const double rows = covariance ? sizeof(float) * f * f / self->samples->ranks : 0.0;
  esp_cost_hold(cost, held);
  esp_cost_touch(cost, fmax(scratch, squares));
  add_moments(self, f, sums, cost);
  esp_cost_touch(cost, planes + rows);
  esp_cost_hold(cost, -held);
  cost->work.values += ENCODE * (double)self->samples->rows * f;
}

static void add_site(const collection *self, double f, bool covariance, double scratch,
                     esp_cost *cost) {
  const double pilot = pilot_bytes(self, f);
  esp_cost_hold(cost, pilot);
  add_pilot(self, f, cost);
  add_sums(self, f, covariance, scratch, cost);
  esp_cost_hold(cost, -pilot);
}

static void add_stream(const collection *self, esp_cost *cost) {
  const double width = (double)self->model->width.units;
  const bool covariance = collect_has_full_streams(self->options);
  if (self->has_width) add_site(self, width, covariance, 0.0, cost);
}

static void add_stage(const collection *self, int stage, esp_cost *cost) {
  const esp_model *model = self->model;
  const double loaded = esp_model_loaded_bytes(model, stage);
  const double batch_rows = (double)self->samples->batch_rows;
  esp_cost_hold(cost, loaded);
  add_stream(self, cost);
  if (collect_has_site(self->options, stage))
    add_site(self, (double)esp_stage_features(&model->stages[stage]),
             self->options->covariance && collect_is_full(self->options, stage),
             esp_stage_scratch_bytes(model, stage, batch_rows), cost);
  esp_cost_hold(cost, -loaded);
  (stage < self->last ? esp_stage_add_forward_work : esp_stage_add_produce_work)(
      model, stage, (double)self->samples->rows, (double)self->samples->tokens, &cost->work);
}

/* Probabilities of all logits are summed, and sorted with their indices. */
static void add_choice(const collection *self, esp_cost *cost) {
  const double rows = (double)self->samples->rows, outputs = (double)self->model->n_outputs;
  if (self->logits >= outputs) return;
  esp_cost_touch(cost, 3 * sizeof(int64_t) * outputs);
  esp_cost_send(cost, self->samples->ranks, ESP_ALLREDUCE, sizeof(int64_t) * outputs);
  esp_head_add_work(self->model, rows, &cost->work);
  cost->work.values += ESP_SOFTMAX_VALUES * rows * outputs;
}

static void add_logits(const collection *self, esp_cost *cost) {
  const esp_model *model = self->model;
  const double rows = (double)self->samples->rows, outputs = (double)model->n_outputs;
  add_site(self, self->logits, false, sizeof(float) * (double)model->width.units, cost);
  esp_head_add_work(model, rows * self->logits / outputs, &cost->work);
}

static void add_head(const collection *self, esp_cost *cost) {
  const bool has_logits = collect_has_logits(self->options);
  const double loaded = esp_model_loaded_bytes(self->model, self->model->n_stages);
  if (!has_logits && !self->has_width) return;
  esp_cost_hold(cost, loaded);
  if (has_logits) add_choice(self, cost);
  add_stream(self, cost);
  if (has_logits) add_logits(self, cost);
  esp_cost_hold(cost, -loaded);
}

/* layers.c: the stream before a layer, while the layer runs; a cosine a layer. */
static double count_layers(const collection *self) {
  return self->has_width ? (double)esp_model_count_layers(self->model) : 0.0;
}

static double layer_bytes(const collection *self) {
  return count_layers(self) > 0.0
             ? esp_shard_shape_state_bytes(self->samples, (double)self->model->width.units)
             : 0.0;
}

static void add_passes(const collection *self, esp_cost *cost) {
  const esp_model *model = self->model;
  double widest = fmax((double)model->max_features, self->logits);
  widest = fmax(widest, (double)model->width.units);
  const bool runs_head = collect_has_logits(self->options) || self->fisher_rows > 0.0;
  if (runs_head) widest += (double)model->n_outputs;
  const double held =
      layer_bytes(self) + sizeof(float) * (double)self->samples->batch_rows * widest;
  esp_cost_hold(cost, held);
  esp_cost_hold(cost, esp_shard_shape_state_bytes(self->samples, (double)model->max_state));
  esp_cost_touch(cost, esp_model_embedding_bytes(model));
  for (int s = 0; s < model->n_stages && s <= self->last; s++) add_stage(self, s, cost);
  add_head(self, cost);
  esp_cost_send(cost, self->samples->ranks, ESP_ALLREDUCE, sizeof(double) * count_layers(self));
}

static bool has_fisher(const collection *self) {
  return self->fisher_rows > 0.0 &&
         collect_find_lowest(self->model, self->options) < self->model->n_stages;
}

/* The state before every stage and the head, and the gradient, of the Fisher information's
 * micro-batches. */
static double fisher_bytes(const collection *self) {
  const esp_model *model = self->model;
  const double batches = (double)count_fisher_batches(model, self->options, self->samples);
  const double states = ceil(batches / self->samples->ranks) * (model->n_stages + 2.0);
  if (!has_fisher(self)) return 0.0;
  return sizeof(float) * states * (double)(self->samples->batch_rows * model->max_state);
}

/* fisher.c: where the sites were not taken on, forward; where something follows the consumer, x
 * again for the gradients' scale; backward. */
static void add_fisher_work(const collection *self, int stage, esp_work *work) {
  const double rows = self->fisher_rows, tokens = (double)self->samples->tokens;
  if (stage >= self->last) esp_stage_add_forward_work(self->model, stage, rows, tokens, work);
  if (stage < collect_find_lowest(self->model, self->options)) return;
  esp_stage_add_remake_work(self->model, stage, rows, tokens, work);
  esp_stage_add_backward_work(self->model, stage, rows, tokens, work);
}

/* An exact sum of a site's gradients' products. */
static void add_fisher_sums(const collection *self, int stage, esp_cost *cost) {
  const esp_shard_shape *samples = self->samples;
  const double n = (double)self->model->stages[stage].state_out;
  const double batches = ceil(self->fisher_rows / (double)samples->batch_rows);
  const esp_exact_shape products = {samples->ranks, n, n, self->fisher_rows, batches, true};
  esp_cost_hold(cost, esp_exact_bytes(n, n));
  esp_cost_send(cost, samples->ranks, ESP_ALLREDUCE, sizeof(double) * n);
  esp_exact_add_cost(&products, cost);
  cost->work.values += ESP_EXACT_READ * n * n;
  esp_cost_hold(cost, -esp_exact_bytes(n, n));
}

static void add_fisher_stage(const collection *self, int stage, esp_cost *cost) {
  const double batch_rows = (double)self->samples->batch_rows;
  const double held = esp_model_loaded_bytes(self->model, stage) +
                      3.0 * esp_stage_scratch_bytes(self->model, stage, batch_rows);
  esp_cost_hold(cost, held);
  add_fisher_work(self, stage, &cost->work);
  if (collect_is_full(self->options, stage)) add_fisher_sums(self, stage, cost);
  esp_cost_hold(cost, -held);
}

/* The head runs for them where it did not to choose the logits. */
static void add_fisher(const collection *self, esp_cost *cost) {
  const esp_model *model = self->model;
  const bool has_run = collect_has_logits(self->options) && self->logits < (double)model->n_outputs;
  if (!has_fisher(self)) return;
  for (int s = 0; s < model->n_stages; s++) add_fisher_stage(self, s, cost);
  for (int pass = has_run; pass < 2; pass++)
    esp_head_add_work(model, self->fisher_rows, &cost->work);
  cost->work.values += LABEL * self->fisher_rows * (double)model->n_outputs;
}

void esp_collect_add_cost(const esp_model *model, const esp_collect_options *options,
                          const esp_shard_shape *samples, esp_cost *cost) {
  collection self;
  esp_cost all = {0};
  init(&self, model, options, samples);
  esp_cost_hold(&all, fisher_bytes(&self));
  add_passes(&self, &all);
  add_fisher(&self, &all);
  all.kept_bytes = 0.0;
  esp_cost_add(cost, &all);
  esp_stats_shape_clear(&self.stats);
}

static double sum_file(const collection *self) {
  const esp_model *model = self->model;
  const bool covariance = self->options->covariance;
  const double width = (double)model->width.units;
  double sum = esp_stats_head_bytes(&self->stats) + sizeof(double) * count_layers(self);
  for (int s = 0; s < model->n_stages; s++) {
    const double f = (double)esp_stage_features(&model->stages[s]);
    if (!collect_has_site(self->options, s)) continue;
    const bool is_full = collect_is_full(self->options, s);
    sum += esp_stats_site_bytes(&self->stats, f, covariance && is_full);
    if (self->fisher_rows > 0.0 && is_full)
      sum += esp_stats_fisher_bytes((double)model->stages[s].state_out);
  }
  for (int s = 0; s <= model->n_stages && self->has_width; s++)
    sum += esp_stats_site_bytes(&self->stats, width, collect_has_full_streams(self->options));
  if (!collect_has_logits(self->options)) return sum;
  return sum + esp_stats_site_bytes(&self->stats, self->logits, false) +
         sizeof(int64_t) * self->logits;
}

double esp_collect_file_bytes(const esp_model *model, const esp_collect_options *options,
                              const esp_shard_shape *samples) {
  collection self;
  init(&self, model, options, samples);
  const double bytes = sum_file(&self);
  esp_stats_shape_clear(&self.stats);
  return bytes;
}
