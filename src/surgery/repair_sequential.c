/* Sequential least squares (ours): two streams from the bottom, the dense model's and that of the
 * model as cut and repaired so far. Every consumer is fitted to what is missing from the dense
 * stream, so that errors are corrected, not piled up. It starts from plain least squares; ridge and
 * step of the correction are those that do best on every eighth micro-batch, held out.
 * docs/method/repair.md. */
#include "repair_cost.h"
#include "streams.h"

#include "espalier/core/log.h"
#include "espalier/model/cost.h"

/* Of the second pass: the first is that of least squares. */
static const repair_pass pass = {"sequential", consumer_count_unknowns_local};

/* Advance the dense stream of one micro-batch and form x of the pruned one and the target:
 * preserved outputs of the dense state after the stage, less the pruned stream where the stage adds
 * to it. */
static esp_status form_rows_local(streams *self, const stream_fit *fit, int64_t i, int64_t *rows) {
  const int stage = fit->stage;
  const esp_stage *whole = &self->job->dense->stages[stage],
                  *cut = &self->job->pruned->stages[stage];
  const int64_t *kept = consumer_kept_outputs_local(self->job, stage);
  const int64_t n = fit->n_out;
  const esp_step dense = esp_stream_step(&self->dense, stage, i);
  const esp_step pruned = esp_stream_step(&self->pruned, stage, i);
  const int64_t all = esp_call_count_rows(&dense.call);
  ESP_TRY(esp_step_produce(&dense, self->x_dense));
  ESP_TRY(esp_step_produce(&pruned, self->x));
  streams_note_local(self, stage, i);
  esp_step_consume(&dense, self->x_dense);
  for (int64_t r = 0; r < all; r++)
    for (int64_t j = 0; j < n; j++)
      self->target[r * n + j] = dense.next[r * whole->state_out + (kept ? kept[j] : j)] -
                                (cut->is_residual ? pruned.state[r * n + j] : 0.0f);
  streams_weigh_rows_local(self, whole, dense.next, all, fit);
  esp_step_finish(&dense);
  *rows = streams_drop_padding_local(self, &dense.call.batch, fit);
  return ESP_OK;
}

static esp_status repair_writer(streams *self, int stage) {
  esp_repair_job *job = self->job;
  esp_repair_fit chosen = {0};
  consumer target;
  consumer_init(&target, job, stage);
  const stream_fit fit = {.stage = stage,
                          .n_in = target.n_kept,
                          .n_out = target.n_out,
                          .weights = target.fitted,
                          .bias = target.bias,
                          .form = form_rows_local};
  streams_make_room_local(self, stage);
  const esp_status status = streams_fit(self, &fit, &chosen);
  esp_repair_report_set(job->report, job->dense->stages[stage].name, &chosen);
  if (status == ESP_OK) consumer_store(&target, job, stage);
  consumer_clear(&target);
  return status;
}

/* A finished stage has its weights; both streams go on through it. */
static esp_status pass_by_local(streams *self, int stage) {
  ESP_TRY(esp_stream_advance(&self->dense, stage, self->x));
  return esp_stream_advance(&self->pruned, stage, self->x);
}

static esp_status restore_stage(streams *self, int stage) {
  esp_repair_job *job = self->job;
  ESP_TRY(repair_restore(job, &pass, stage));
  esp_status status = repair_load(job, stage);
  if (status == ESP_OK) status = esp_agree(job->comm, pass_by_local(self, stage));
  esp_stream_unload(&self->pruned, stage);
  esp_stream_unload(&self->dense, stage);
  return status;
}

static esp_status repair_stage(streams *self, int stage) {
  esp_repair_job *job = self->job;
  if (repair_is_done_local(job, &pass, stage)) return restore_stage(self, stage);
  ESP_TRY(repair_load(job, stage));
  esp_status status = readers_fit(self, stage);
  if (status == ESP_OK) status = repair_writer(self, stage);
  if (status == ESP_OK) streams_advance_pruned_local(self, stage);
  esp_stream_unload(&self->pruned, stage);
  esp_stream_unload(&self->dense, stage);
  return status == ESP_OK ? repair_save(job, &pass, stage) : status;
}

/* Only the width leaves something to refit in the head. */
static esp_status repair_head(streams *self) {
  esp_repair_job *job = self->job;
  const int head = job->dense->n_stages;
  if (!selection_cuts_width(job->selection)) return ESP_OK;
  if (repair_is_done_local(job, &pass, head)) return repair_restore(job, &pass, head);
  ESP_TRY(repair_load(job, head));
  ESP_TRY(readers_fit(self, head));
  return repair_save(job, &pass, head);
}

static esp_status apply(esp_repair_job *job) {
  bool is_done;
  ESP_TRY(repair_each(job, &least_squares_pass, least_squares_fit));
  ESP_TRY(repair_restore_all(
      job, &pass, job->dense->n_stages + selection_cuts_width(job->selection), &is_done));
  if (is_done) return ESP_OK;
  streams self;
  esp_status status = streams_open(&self, job);
  esp_progress progress;
  esp_progress_init(&progress, "sequential repair", "sites", job->dense->n_stages);
  for (int stage = 0; stage < job->dense->n_stages && status == ESP_OK; stage++) {
    status = repair_stage(&self, stage);
    esp_progress_update(&progress, stage + 1, job->dense->stages[stage].name);
  }
  esp_progress_clear(&progress);
  if (status == ESP_OK) status = repair_head(&self);
  streams_close_local(&self);
  return status;
}

/* Whether what a stage reads differs from what it read. */
static bool is_cut_below(const esp_repair_shape *shape, int stage) {
  bool is_cut = shape->is_width_cut;
  for (int below = 0; below < stage && !is_cut; below++) is_cut = repair_is_cut(shape, below);
  return is_cut;
}

/* As measured, most consumers stay as they are that plain least squares has fitted to the same x,
 * or for which there are few rows a feature. */
static fit_size expect_fit(const esp_repair_shape *shape, int stage) {
  enum { FEW = 2 };
  fit_size size = consumer_size(shape->pruned, stage);
  size.stays = !is_cut_below(shape, stage) || (double)shape->samples->rows <= FEW * size.n_in;
  return size;
}

/* The pruned stage's x is kept until the stream has gone on. */
static void add_stage_cost(const esp_repair_shape *shape, int stage, esp_cost *cost) {
  const double batch_rows = (double)shape->samples->batch_rows;
  const fit_size size = expect_fit(shape, stage);
  const double loaded = stage_loaded_bytes(shape, stage);
  const double rows = consumer_row_bytes(shape, stage) + streams_kept_bytes(shape, size);
  esp_cost_hold(cost, loaded);
  readers_add_cost(shape, stage, cost);
  esp_cost_hold(cost, rows);
  streams_add_fit_cost(shape, size, esp_stage_scratch_bytes(shape->dense, stage, batch_rows), cost);
  esp_cost_hold(cost, -rows - loaded);
  if (!repair_is_cut(shape, stage)) // else it has values of its own since plain least squares
    esp_cost_hold(cost, fit_value_bytes(size));
  streams_add_work(shape, shape->pruned, stage, &cost->work);
}

static void add_streams_cost(const esp_repair_shape *shape, esp_cost *cost) {
  const int head = shape->dense->n_stages;
  const double held = streams_bytes(shape), loaded = stage_loaded_bytes(shape, head);
  esp_cost_hold(cost, held);
  for (int s = 0; s < head; s++) add_stage_cost(shape, s, cost);
  if (shape->is_width_cut) {
    esp_cost_hold(cost, loaded);
    readers_add_cost(shape, head, cost);
    esp_cost_hold(cost, -loaded);
  }
  esp_cost_hold(cost, -held);
  streams_add_dense_work(shape, &cost->work);
}

static void add_cost(const esp_repair_shape *shape, esp_cost *cost) {
  if (shape->is_of_layers) {
    layers_add_cost(shape, cost);
    return;
  }
  repair_each_add_cost(shape, least_squares_add_cost, cost);
  add_streams_cost(shape, cost);
}

const esp_repair repair_sequential = {
    .name = "sequential",
    .summary = "least squares, then from the bottom to what is missing from the dense stream",
    .needs_covariance = true,
    .needs_data = true,
    .apply = apply,
    .apply_to_layers = layers_repair,
    .cost = add_cost};
