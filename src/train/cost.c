/* The costs of training, from the sizes that the engine itself lays out for so many ranks. */
#include "espalier/train/cost.h"

#include "policy_cost.h"

#include "espalier/comm/cost.h"
#include "espalier/core/memory.h"
#include "espalier/flow/chunk.h"
#include "espalier/io/cost.h"
#include "espalier/model/cost.h"
#include "espalier/model/forward.h"

#include <math.h>

/* Bytes copied for a value (measured): one that a micro-batch adds to the sums, cleared and checked
 * before; one that an update gathers. */
enum { ADD_BYTES = 14, GATHER_BYTES = 8 };

/* A training to be priced. */
typedef struct pricing {
  const training *of;
  int ranks;
  double rows;          // of a full micro-batch
  double tokens;        // rows of a sample; images: 1
  double outputs;       // rows of a full micro-batch's logits
  double share, uneven; // micro-batches of rank 0; by how much that is above an even share
} pricing;

static const esp_train_request *get_request(const pricing *self) {
  return self->of->request;
}

static double count_tokens(const esp_dataset *data) {
  return data->kind == ESP_DATA_TOKENS ? (double)data->width : 1.0;
}

static int64_t count_micro_batches(const esp_train_options *options) {
  return (options->batch + options->micro_batch - 1) / options->micro_batch;
}

static void init(pricing *self, const training *of) {
  const esp_train_options *options = of->request->options;
  const double micro = (double)options->micro_batch, n = (double)count_micro_batches(options);
  *self = (pricing){.of = of,
                    .ranks = of->comm->size,
                    .tokens = count_tokens(of->request->data),
                    .share = ceil(n / of->comm->size)};
  self->uneven = self->share * self->ranks / n;
  self->rows = micro * self->tokens;
  self->outputs = esp_model_is_by_sample(of->request->model) ? micro : self->rows;
}

static double count_values(const esp_model *model, const bool *trains) {
  double sum = 0.0;
  for (int w = 0; w < model->n_weights; w++)
    if (trains[w] || model->weights[w].is_final)
      sum += (double)esp_weight_count(&model->weights[w]);
  return sum;
}

/* Of a stage's weights that have no values of their own; tables are read by rows but in a head. */
static double sum_stage(const pricing *self, int stage, bool with_tables) {
  const esp_model *model = get_request(self)->model;
  double sum = 0.0;
  for (int w = 0; w < model->n_weights; w++)
    if (model->weights[w].stage == stage && !self->of->parts.trains[w] &&
        (with_tables || !model->weights[w].is_table))
      sum += esp_weight_loaded_bytes(&model->weights[w]);
  return sum;
}

/* Of what is loaded with a stage (n_stages: the head) beside values of their own. */
static double loaded_bytes(const pricing *self, int stage) {
  const esp_model *model = get_request(self)->model;
  const bool has_embedding = stage == model->n_stages && model->is_head_tied;
  return sum_stage(self, stage, false) +
         (has_embedding ? sum_stage(self, ESP_STAGE_EMBED, true) : 0.0);
}

static double teacher_bytes(const esp_model *teacher, int stage) {
  return stage == ESP_STAGE_EMBED ? esp_model_embedding_bytes(teacher)
                                  : esp_model_loaded_bytes(teacher, stage);
}

static double logits_bytes(const pricing *self) {
  return sizeof(float) * self->rows * (double)get_request(self)->model->n_outputs;
}

static double state_bytes(const pricing *self, const esp_model *model) {
  return sizeof(float) * self->rows * (double)model->max_state;
}

/* A forward pass through a stage: x, and what it is made of. */
static double scratch_bytes(const pricing *self, const esp_model *model, int stage) {
  return sizeof(float) * self->rows * (double)esp_stage_features(&model->stages[stage]) +
         esp_stage_scratch_bytes(model, stage, self->rows);
}

/* The largest of all stages: the workspace keeps it. */
static double find_scratch(const pricing *self, const esp_model *model) {
  double most = 0.0;
  for (int s = 0; s < model->n_stages; s++) most = fmax(most, scratch_bytes(self, model, s));
  return most;
}

/* What a head reads, as normalised. */
static double head_scratch_bytes(const pricing *self, const esp_model *model) {
  return sizeof(float) * self->rows * (double)model->width.units;
}

/* train.c and pass.c: orders of samples, parts, states before every stage and the head, and their
 * gradient, logits, sums of gradients. */
static double held_bytes(const pricing *self) {
  const training *of = self->of;
  const esp_model *model = of->request->model, *teacher = of->request->teacher;
  const double arrays = 1.0 + of->method->n_slots + (of->held.objective ? 1.0 : 0.0); // the mean
  const bool is_exact = of->request->options->gradients[0] != 'f';
  const double sum = sizeof(float) + (is_exact ? sizeof(int64_t) : sizeof(float));
  const double orders = (double)(of->request->data->count + of->n_samples + of->held.shard.n_order);
  int64_t sums[2];
  gradients_count(&of->parts, sums);
  double bytes = sizeof(int64_t) * orders + sizeof(float) * arrays * (double)of->parts.n_own +
                 sum * (double)(sums[0] + sums[1]) + logits_bytes(self) +
                 sizeof(int64_t) * (double)gradients_count_part(&of->parts);
  const double kept = (double)of->per_pass; // micro-batches whose states are
  bytes += kept * (model->n_stages + 2.0) * state_bytes(self, model);
  if (teacher) bytes += kept * state_bytes(self, teacher) + logits_bytes(self);
  bytes += policy_held_bytes(of);
  if (of->n_passes > 1 && is_exact) bytes += sizeof(int64_t) * (double)of->parts.n_own; // total
  return bytes;
}

/* Weights that train get values of their own, stage by stage. */
static void add_values(const pricing *self, double values, esp_cost *cost) {
  const esp_model *model = get_request(self)->model;
  for (int s = ESP_STAGE_EMBED; s <= model->n_stages; s++)
    esp_cost_touch(cost, sizeof(float) * values + loaded_bytes(self, s));
  esp_cost_hold(cost, sizeof(float) * values);
}

static double rows_of_outputs(const pricing *self, double rows) {
  return rows * self->outputs / self->rows;
}

/* Take rows through a model to its logits. */
static void add_forward_work(const pricing *self, const esp_model *model, double rows,
                             esp_work *work) {
  for (int s = 0; s < model->n_stages; s++)
    esp_stage_add_forward_work(model, s, rows, self->tokens, work);
  if (model->width.units == 0)
    work->flops += rows * 2.0 * esp_stage_count_products(model, ESP_STAGE_EMBED);
  esp_head_add_work(model, rows_of_outputs(self, rows), work);
}

/* Weights are converted where they are loaded. */
static double sum_loaded(const pricing *self) {
  double sum = 0.0;
  for (int s = ESP_STAGE_EMBED; s <= get_request(self)->model->n_stages; s++)
    sum += loaded_bytes(self, s);
  return sum / sizeof(float);
}

static void add_teacher(const pricing *self, double rows, double passes, esp_work *work) {
  const esp_model *teacher = get_request(self)->teacher;
  if (!teacher) return;
  add_forward_work(self, teacher, rows, work);
  work->every += passes * esp_model_all_bytes(teacher) / sizeof(float);
}

/* Products of the gradients of a stage's matrices (n_stages: the head's). */
static void add_gradient_work(const pricing *self, int stage, double rows, esp_work *work) {
  const esp_model *model = get_request(self)->model;
  for (int w = 0; w < model->n_weights; w++) {
    const esp_weight *weight = &model->weights[w];
    if (weight->stage == stage && weight->rank == 2 && self->of->parts.trains[w])
      work->flops += rows * 2.0 * (double)esp_weight_count(weight);
  }
}

/* Back from the logits to the lowest stage that trains; an embedding's gradient is no product but
 * where it is a linear map. */
static void add_backward_work(const pricing *self, double rows, esp_work *work) {
  const esp_model *model = get_request(self)->model;
  const int lowest = parts_find_lowest_stage(&self->of->parts);
  const double outputs = rows_of_outputs(self, rows);
  esp_head_add_work(model, outputs, work);
  add_gradient_work(self, model->n_stages, outputs, work);
  if (model->is_head_tied) add_gradient_work(self, ESP_STAGE_EMBED, outputs, work);
  if (model->width.units == 0) add_gradient_work(self, ESP_STAGE_EMBED, rows, work);
  for (int s = model->n_stages - 1; s >= 0 && s >= lowest; s--) {
    esp_stage_add_remake_work(model, s, rows, self->tokens, work);
    esp_stage_add_backward_work(model, s, rows, self->tokens, work);
    add_gradient_work(self, s, rows, work);
  }
}

/* Softmaxes, with a gradient or without, of the model and of a teacher. */
static void add_loss_work(const pricing *self, double rows, double softmaxes, esp_work *work) {
  work->values += softmaxes * ESP_SOFTMAX_VALUES * rows_of_outputs(self, rows) *
                  (double)get_request(self)->model->n_outputs;
}

/* Rows of all steps; the last of an epoch may have fewer samples. */
static double count_trained_rows(const pricing *self) {
  const training *of = self->of;
  const int64_t rest = of->schedule.n % of->per_epoch * of->request->options->batch;
  const double epochs = (double)(of->schedule.n / of->per_epoch);
  const double passes = (double)(policy_count_passes(of) * of->request->options->batch);
  return self->tokens * (epochs * (double)of->n_samples + (double)rest + passes);
}

/* Scratch of a backward pass, or of the forward pass that was in the same workspace. */
static double return_bytes(const pricing *self, int stage) {
  const esp_model *model = get_request(self)->model;
  return fmax(find_scratch(self, model),
              esp_stage_backward_scratch_bytes(model, stage, self->rows));
}

/* The teacher to its head, which stays loaded while the model goes to its own; then back. */
static void add_pass_memory(const pricing *self, esp_cost *cost) {
  const esp_model *model = get_request(self)->model, *teacher = get_request(self)->teacher;
  const double head = teacher ? esp_model_loaded_bytes(teacher, teacher->n_stages) : 0.0;
  const double scratch = fmax(find_scratch(self, model), teacher ? find_scratch(self, teacher) : 0);
  for (int s = ESP_STAGE_EMBED; teacher && s < teacher->n_stages; s++)
    esp_cost_touch(cost, teacher_bytes(teacher, s) + find_scratch(self, teacher));
  for (int s = ESP_STAGE_EMBED; s < model->n_stages; s++)
    esp_cost_touch(cost, head + loaded_bytes(self, s) + scratch);
  esp_cost_touch(cost, head + loaded_bytes(self, model->n_stages) +
                           fmax(scratch, 2.0 * head_scratch_bytes(self, model)));
  for (int s = parts_find_lowest_stage(&self->of->parts); s < model->n_stages; s++)
    esp_cost_touch(cost,
                   s < 0 ? loaded_bytes(self, s) : loaded_bytes(self, s) + return_bytes(self, s));
}

/* parts_gather: a piece's values; every rank hands over its own. */
static void add_gather(const pricing *self, double times, esp_cost *cost) {
  const double n = (double)self->of->parts.n_values;
  esp_cost_touch(cost, sizeof(float) * fmin(n, PARTS_PIECE));
  esp_cost_send(cost, self->ranks, ESP_ALLGATHER, times * sizeof(float) * n / self->ranks);
  cost->work.bytes += times * GATHER_BYTES * n;
  cost->work.reduced += times * sizeof(float) * n / 2.0; // an allreduce sends twice as much
}

/* gradients_reduce and gradients_clip; the sums of a piece, as the rank gets them. */
static void add_reductions(const pricing *self, esp_cost *cost) {
  const training *of = self->of;
  const bool is_exact = of->request->options->gradients[0] != 'f';
  const double n = (double)of->parts.n_values, steps = (double)of->schedule.n;
  const double bytes = is_exact ? sizeof(int64_t) : sizeof(float);
  const double passes = (steps + (double)policy_count_passes(of)) * (double)of->n_passes;
  esp_cost_touch(cost, sizeof(double) * (double)of->parts.n_blocks);
  esp_cost_send(cost, self->ranks, ESP_REDUCE_SCATTER, passes * bytes * n);
  esp_cost_send(cost, self->ranks, ESP_ALLREDUCE,
                steps * sizeof(double) * (double)of->parts.n_blocks + passes * ESP_TALLY_BYTES);
  cost->work.reduced += passes * bytes * n / 2.0;
}

static void add_update_work(const pricing *self, esp_work *work) {
  const double n = (double)self->of->parts.n_values, steps = (double)self->of->schedule.n;
  work->bytes += steps * self->share * ADD_BYTES * n;
  work->values += steps * n;
}

/* checkpoint_save: a rank's values, and its mask, as they are written. */
static void add_checkpoint_memory(const pricing *self, esp_cost *cost) {
  const double arrays = self->of->pruning.of ? 2.0 : 1.0;
  esp_cost_touch(cost, arrays * sizeof(float) * (double)self->of->parts.n_own);
}

static void add_steps(const pricing *self, esp_cost *cost) {
  const double rows = count_trained_rows(self) * self->uneven, steps = (double)self->of->schedule.n;
  const double passes = steps * (double)self->of->n_passes;
  add_pass_memory(self, cost);
  add_checkpoint_memory(self, cost);
  add_reductions(self, cost);
  if (self->ranks > 1) add_gather(self, steps + (double)policy_count_gathers(self->of), cost);
  add_forward_work(self, get_request(self)->model, rows, &cost->work);
  add_teacher(self, rows, passes, &cost->work);
  add_loss_work(self, rows, 2.0, &cost->work);
  add_backward_work(self, rows, &cost->work);
  add_update_work(self, &cost->work);
  policy_add_cost(self->of, self->ranks, cost);
  cost->work.every += 2.0 * passes * sum_loaded(self);
}

/* Weights are measured as they would be written. */
static bool rounds(const pricing *self) {
  const train_parts *parts = &self->of->parts;
  for (int w = 0; w < parts->model->n_weights; w++)
    if (held_out_rounds(parts, w)) return true;
  return false;
}

static const esp_model *get_measured_teacher(const pricing *self) {
  return self->of->held.objective->needs_teacher ? get_request(self)->teacher : NULL;
}

/* The states of a chunk, and its logits, of the teacher beside the model. */
static void add_measurement_memory(const pricing *self, esp_cost *cost) {
  esp_shard shard = self->of->held.shard;
  const esp_model *model = get_request(self)->model, *teacher = get_measured_teacher(self);
  const esp_model *const models[2] = {model, teacher};
  const double batches =
      fmin((double)esp_chunk_choose(&shard, models, teacher ? 2 : 1, 0), (double)shard.count);
  double held = 0.0;
  if (teacher)
    held = batches * state_bytes(self, teacher) + logits_bytes(self) +
           esp_model_loaded_bytes(teacher, teacher->n_stages);
  held += batches * state_bytes(self, model);
  for (int s = 0; s < model->n_stages; s++)
    esp_cost_touch(cost, held + loaded_bytes(self, s) + scratch_bytes(self, model, s));
  esp_cost_touch(cost, held + loaded_bytes(self, model->n_stages) + logits_bytes(self) +
                           head_scratch_bytes(self, model));
}

static int64_t count_evaluations(const training *of) {
  const int64_t n = of->schedule.n, every = of->evaluate_every;
  return of->held.objective ? 1 + n / every + (n % every != 0) : 0;
}

/* The weights that do not train are loaded again, and those that do are kept apart from what is
 * rounded. */
static void add_evaluations(const pricing *self, esp_cost *cost) {
  const training *of = self->of;
  const double times = (double)count_evaluations(of);
  if (times == 0.0) return;
  const double all = (double)of->held.shard.n_batches;
  const double uneven = (double)of->held.shard.count * self->ranks / all;
  const double rows = times * uneven * self->tokens * (double)of->held.shard.n_order;
  if (rounds(self)) esp_cost_hold(cost, sizeof(float) * (double)of->parts.n_own);
  add_measurement_memory(self, cost);
  add_forward_work(self, get_request(self)->model, rows, &cost->work);
  add_loss_work(self, rows, 1.0, &cost->work);
  if (get_measured_teacher(self)) add_teacher(self, rows, times, &cost->work);
  cost->work.every += times * sum_loaded(self);
  esp_cost_send(cost, self->ranks, ESP_ALLREDUCE,
                times * (ESP_TALLY_BYTES + 2.0 * sizeof(int64_t) * all));
  add_gather(self, (rounds(self) ? times : 0.0) + 1.0, cost); // the best, at the end
}

/* Every rank converts its rows of one weight after the other. */
static void add_write(const pricing *self, esp_cost *cost) {
  const esp_model *model = get_request(self)->model;
  double largest = 0.0;
  for (int w = 0; w < model->n_weights; w++)
    largest = fmax(largest, (double)esp_weight_count(&model->weights[w]) *
                                (double)esp_dtype_bytes(model->weights[w].type));
  for (int s = ESP_STAGE_EMBED; s <= model->n_stages; s++)
    esp_cost_touch(cost, loaded_bytes(self, s) + largest / self->ranks);
  cost->work.every += sum_loaded(self);
  cost->work.bytes += policy_file_bytes(self->of) / self->ranks;
  cost->work.datasets += (double)model->n_weights;
}

static void fill_sizes(const pricing *self, esp_train_sizes *sizes) {
  const training *of = self->of;
  *sizes = (esp_train_sizes){
      .samples = of->n_samples,
      .held_out = of->held.objective ? of->held.shard.n_order : 0,
      .rows = of->n_samples * (int64_t)self->tokens,
      .micro_batches = count_micro_batches(of->request->options),
      .share = (int64_t)self->share,
      .steps = of->schedule.n,
      .evaluations = count_evaluations(of),
      .parameters = esp_model_count_parameters(of->request->model),
      .trainable = of->parts.n_values,
  };
}

static void fill(const training *of, esp_train_cost *cost) {
  pricing self;
  init(&self, of);
  const double values = count_values(of->request->model, of->parts.trains);
  fill_sizes(&self, &cost->sizes);
  cost->values_bytes = sizeof(float) * values;
  cost->model_bytes = policy_file_bytes(of);
  cost->checkpoint_bytes = checkpoint_count_bytes(of);
  add_values(&self, values, &cost->steps);
  esp_cost_hold(&cost->steps, held_bytes(&self));
  cost->evaluations = cost->steps;
  add_steps(&self, &cost->steps);
  add_evaluations(&self, &cost->evaluations);
  esp_cost_hold(&cost->write, cost->values_bytes);
  add_write(&self, &cost->write);
  if (of->request->early) add_write(&self, &cost->write);
}

esp_status esp_train_compute_cost(const esp_train_request *request, int ranks,
                                  esp_train_cost *cost) {
  const esp_comm pretended = esp_comm_pretend(0, ranks);
  training self = {.comm = &pretended, .request = request, .epoch = -1, .progress.best_step = -1};
  *cost = (esp_train_cost){0};
  const esp_status status = train_lay_out_local(&self);
  if (status == ESP_OK) fill(&self, cost);
  train_clear_layout(&self);
  return status;
}
