/* The forward and the backward pass of a step. All micro-batches of this rank go forward together,
 * stage by stage, and come back likewise; a stage's gradients are reduced over the ranks as soon as
 * its last micro-batch is back. */
#include "train_internal.h"

#include "espalier/core/memory.h"

#include <inttypes.h>

static esp_status fail_diverged(const training *self, const char *what) {
  return esp_fail(ESP_NUMERIC,
                  "training diverged in step %" PRId64 ": %s; lower --rate or raise "
                  "--warmup",
                  self->progress.step + 1, what);
}

void pass_init(training *self) {
  const esp_train_request *request = self->request;
  const esp_train_options *options = request->options;
  const int64_t n = (options->batch + options->micro_batch - 1) / options->micro_batch;
  const int64_t most = (n + self->comm->size - 1) / self->comm->size;
  esp_stream_init(&self->stream, &(esp_stream_options){.model = request->model,
                                                       .shard = &self->shard,
                                                       .count = most,
                                                       .keeps_states = true});
  if (request->teacher)
    esp_stream_init(&self->taught, &(esp_stream_options){.model = request->teacher,
                                                         .shard = &self->shard,
                                                         .count = most,
                                                         .workspace = self->stream.workspace});
  const int64_t outputs = self->stream.rows * request->model->n_outputs;
  self->logits = ESP_NEW(float, outputs);
  if (request->teacher) self->teacher_logits = ESP_NEW(float, outputs);
  gradients_init(&self->gradients, &self->parts, n, options->gradients[0] == 'f');
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
  const esp_objective_options how = {options->temperature, options->mix};
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
  ESP_TRY(go_forward_local(&self->stream));
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

static esp_status return_local(training *self, int stage) {
  ESP_TRY(esp_model_load_local(self->stream.model, stage));
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

esp_status pass_run(training *self, esp_sample_range samples, esp_tally *tally) {
  const esp_comm *comm = self->comm;
  esp_tally mine = esp_tally_start(self->objective, self->request->data);
  esp_shard_deal_local(comm, &self->shard, samples);
  esp_stream_turn(&self->stream, self->shard.first, self->shard.count);
  if (self->request->teacher) esp_stream_turn(&self->taught, self->shard.first, self->shard.count);
  ESP_TRY(esp_agree(comm, reach_head_local(self, &mine)));
  esp_tally_reduce(comm, &mine);
  const double targets = mine.targets > 0 ? (double)mine.targets : 1.0;
  gradients_reduce(comm, &self->gradients, self->stream.model->n_stages + 1, targets);
  for (int stage = self->stream.model->n_stages - 1; stage >= parts_find_lowest_stage(&self->parts);
       stage--) {
    ESP_TRY(esp_agree(comm, return_local(self, stage)));
    gradients_reduce(comm, &self->gradients, stage + 1, targets);
  }
  esp_stream_free_scratch(&self->stream);
  tally->targets += mine.targets;
  tally->correct += mine.correct;
  tally->loss += mine.loss;
  tally->cosine += mine.cosine;
  tally->unit = mine.unit;
  return ESP_OK;
}
