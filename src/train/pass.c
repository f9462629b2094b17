/* The forward and the backward pass of a step. The micro-batches of this rank go forward together,
 * stage by stage, and come back likewise; a stage's gradients are reduced over the ranks as soon as
 * its last micro-batch is back. Where their states would take too much memory, they do so in
 * several passes, whose sums are added: integers, so that the bits are those of one pass. */
#include "diverged.h"

#include "espalier/core/memory.h"

enum { STATE_BYTES = 2000000000 }; // of a rank, but for one micro-batch

static esp_status fail_diverged(const training *self, const char *what) {
  return diverged_fail(self, self->progress.step + 1, what);
}

static int64_t count_micro_batches(const esp_train_options *options) {
  return (options->batch + options->micro_batch - 1) / options->micro_batch;
}

/* Of a micro-batch: before every stage and the head, and the gradient; the teacher's. */
static int64_t count_state_bytes(const esp_train_request *request) {
  const bool is_text = request->data->kind == ESP_DATA_TOKENS;
  const int64_t rows = request->options->micro_batch * (is_text ? request->data->width : 1);
  const int64_t own = (request->model->n_stages + 2) * request->model->max_state;
  const int64_t taught = request->teacher ? request->teacher->max_state : 0;
  return (int64_t)sizeof(float) * rows * (own + taught);
}

void pass_lay_out_local(training *self) {
  const esp_train_request *request = self->request;
  const int64_t n = count_micro_batches(request->options), ranks = self->comm->size;
  const int64_t most = (n + ranks - 1) / ranks;
  const int64_t bytes = request->state_bytes > 0 ? request->state_bytes : STATE_BYTES;
  const int64_t fit = bytes / count_state_bytes(request), per_pass = fit > 1 ? fit : 1;
  self->n_passes = (most + per_pass - 1) / per_pass;
  self->per_pass = (most + self->n_passes - 1) / self->n_passes;
}

void pass_init(training *self) {
  const esp_train_request *request = self->request;
  const esp_train_options *options = request->options;
  esp_stream_init(&self->stream, &(esp_stream_options){.model = request->model,
                                                       .shard = &self->shard,
                                                       .count = self->per_pass,
                                                       .keeps_states = true});
  if (request->teacher)
    esp_stream_init(&self->taught, &(esp_stream_options){.model = request->teacher,
                                                         .shard = &self->shard,
                                                         .count = self->per_pass,
                                                         .workspace = self->stream.workspace});
  const int64_t outputs = self->stream.rows * request->model->n_outputs;
  self->logits = ESP_NEW(float, outputs);
  if (request->teacher) self->teacher_logits = ESP_NEW(float, outputs);
  const gradients_options how = {.most = count_micro_batches(options),
                                 .is_floating = options->gradients[0] == 'f',
                                 .is_total = self->n_passes > 1};
  gradients_init(&self->gradients, &self->parts, &how);
}

void pass_clear(training *self) {
  gradients_clear(&self->gradients);
  esp_free(&self->logits);
  esp_free(&self->teacher_logits);
  if (self->request->teacher) esp_stream_clear(&self->taught);
  esp_stream_clear(&self->stream);
}

/* To the head, which stays loaded. */
static esp_status go_forward_local(esp_stream *stream) {
  const int head = stream->model->n_stages;
  if (stream->count == 0) return ESP_OK;
  ESP_TRY(esp_stream_embed(stream));
  for (int stage = 0; stage < head; stage++) {
    ESP_TRY(esp_model_load_local(stream->model, stage));
    const esp_status status = esp_stream_advance(stream, stage, NULL);
    esp_model_unload(stream->model, stage);
    ESP_TRY(status);
  }
  return esp_model_load_local(stream->model, head);
}

static void read_teacher(training *self, int64_t i) {
  if (!self->request->teacher) return;
  const esp_step step = esp_stream_step(&self->taught, self->taught.model->n_stages, i);
  esp_call_head(&step.call, step.state, self->teacher_logits);
}

static void cool_logits(training *self, const esp_batch *batch) {
  const int64_t n = esp_batch_count_outputs(self->stream.model, batch);
  if (self->cooling == 0.0) return;
  for (int64_t i = 0; i < n * self->stream.model->n_outputs; i++)
    self->logits[i] = (float)((double)self->logits[i] / self->cooling);
}

static esp_status turn_micro_batch(training *self, int64_t i, esp_tally *tally) {
  const esp_train_options *options = self->request->options;
  const bool is_everywhere = options->distil_at && options->distil_at[0] == 'a'; // all
  const esp_objective_options how = {options->temperature, options->mix, is_everywhere};
  read_teacher(self, i);
  const esp_step step = esp_stream_step(&self->stream, self->stream.model->n_stages, i);
  esp_call_head(&step.call, step.state, self->logits);
  cool_logits(self, &step.call.batch);
  self->objective->measure(&(esp_outputs){.model = self->stream.model,
                                          .batch = &step.call.batch,
                                          .logits = self->logits,
                                          .teacher = self->teacher_logits,
                                          .options = &how,
                                          .dlogits = self->logits,
                                          .workspace = step.call.workspace},
                           tally);
  if (tally->is_undefined || tally->is_capped)
    return fail_diverged(self, "the loss is not finite or above 1e6 nats a target");
  esp_step_return_head(&step, self->logits, self->gradients.by_weight);
  if (gradients_add_local(&self->gradients)) return ESP_OK;
  return fail_diverged(self, "a gradient is not finite or too large");
}

static esp_status turn_local(training *self, esp_tally *tally) {
  esp_status status = ESP_OK;
  for (int64_t i = 0; i < self->stream.count && status == ESP_OK; i++)
    status = turn_micro_batch(self, i, tally);
  return status;
}

/* Through the model to the head, whose gradients are summed. */
static esp_status reach_head_local(training *self, esp_tally *tally) {
  const int head = self->stream.model->n_stages;
  if (self->request->teacher) ESP_TRY(go_forward_local(&self->taught));
  ESP_TRY(diverged_explain(self, go_forward_local(&self->stream), self->progress.step,
                           "an activation is not finite"));
  gradients_open_local(&self->gradients, head + 1);
  if (self->stream.model->is_head_tied) gradients_open_local(&self->gradients, 0);
  const esp_status status = turn_local(self, tally);
  esp_model_unload(self->stream.model, head);
  if (self->request->teacher) esp_model_unload(self->request->teacher, head);
  return status;
}

static void return_micro_batch(training *self, int stage, int64_t i) {
  const esp_stage *of = &self->stream.model->stages[stage];
  const esp_step step = esp_stream_step(&self->stream, stage, i);
  esp_workspace *workspace = step.call.workspace;
  const esp_workspace_mark mark = esp_workspace_set_mark(workspace);
  float *x = ESP_TAKE(workspace, float, self->stream.rows *esp_stage_features(of));
  const esp_backward backward = esp_step_return(&step, x, self->gradients.by_weight);
  esp_backward_finish(&backward, step.dstate);
  esp_backward_consume(&backward, step.dstate);
  esp_workspace_release(workspace, mark);
}

static void return_embedding(training *self, int64_t i) {
  const esp_step step = esp_stream_step(&self->stream, ESP_STAGE_EMBED, i);
  const esp_backward backward = {.call = step.call, .gradients = self->gradients.by_weight};
  esp_backward_embed(&backward, step.dstate);
}

static esp_status load_local(esp_model *model, int stage) {
  return stage == ESP_STAGE_EMBED ? esp_model_load_embedding_local(model)
                                  : esp_model_load_local(model, stage);
}

static esp_status return_local(training *self, int stage) {
  ESP_TRY(load_local(self->stream.model, stage));
  gradients_open_local(&self->gradients, stage + 1);
  bool fine = true;
  for (int64_t i = 0; i < self->stream.count && fine; i++) {
    if (stage == ESP_STAGE_EMBED)
      return_embedding(self, i);
    else
      return_micro_batch(self, stage, i);
    fine = gradients_add_local(&self->gradients);
  }
  esp_model_unload(self->stream.model, stage);
  return fine ? ESP_OK : fail_diverged(self, "a gradient is not finite or too large");
}

static void add_tally(const esp_tally *part, esp_tally *tally) {
  tally->targets += part->targets;
  tally->correct += part->correct;
  tally->loss += part->loss;
  tally->cosine += part->cosine;
  tally->unit = part->unit;
}

static double count_targets(const esp_tally *tally) {
  return tally->targets > 0 ? (double)tally->targets : 1.0;
}

/* This rank's micro-batches of pass p. */
static void turn_streams(training *self, int64_t p) {
  const int64_t begin = p * self->per_pass, left = self->shard.count - begin;
  const int64_t rest = left > 0 ? left : 0, count = rest < self->per_pass ? rest : self->per_pass;
  esp_stream_turn(&self->stream, self->shard.first + begin, count);
  if (self->request->teacher) esp_stream_turn(&self->taught, self->shard.first + begin, count);
}

static esp_status run_pass(training *self, int64_t p, esp_tally *tally) {
  const esp_comm *comm = self->comm;
  const int head = self->stream.model->n_stages;
  esp_tally mine = esp_tally_start(self->objective, self->request->data);
  turn_streams(self, p);
  ESP_TRY(esp_agree(comm, reach_head_local(self, &mine)));
  esp_tally_reduce(comm, &mine);
  gradients_reduce(comm, &self->gradients, head + 1, count_targets(&mine));
  for (int stage = head - 1; stage >= parts_find_lowest_stage(&self->parts); stage--) {
    ESP_TRY(esp_agree(comm, return_local(self, stage)));
    gradients_reduce(comm, &self->gradients, stage + 1, count_targets(&mine));
  }
  add_tally(&mine, tally);
  return ESP_OK;
}

esp_status pass_run(training *self, esp_sample_range samples, esp_tally *tally) {
  esp_tally all = {0};
  esp_shard_deal_local(self->comm, &self->shard, samples);
  if (self->gradients.is_total) gradients_begin_total_local(&self->gradients);
  for (int64_t p = 0; p < self->n_passes; p++) ESP_TRY(run_pass(self, p, &all));
  if (self->gradients.is_total) gradients_finish_total_local(&self->gradients, count_targets(&all));
  esp_stream_free_scratch(&self->stream);
  add_tally(&all, tally);
  return ESP_OK;
}
