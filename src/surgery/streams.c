#include "streams.h"

#include "espalier/core/memory.h"

#include <string.h>

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* Maps that read the stream are refitted only once its width is cut. */
static int64_t count_targets(const esp_repair_job *job) {
  const esp_model *model = job->dense;
  int64_t most = model->max_state;
  if (!selection_cuts_width(job->selection)) return most;
  for (int i = 0; i < model->width.n_readers; i++)
    most = larger(most, model->width.readers[i].linear.outputs);
  return most < STREAM_OUTPUTS ? most : larger(model->max_state, STREAM_OUTPUTS);
}

static void open_stream(esp_stream *self, esp_repair_job *job, esp_model *model,
                        esp_workspace *workspace) {
  esp_stream_init(self, &(esp_stream_options){.model = model,
                                              .shard = job->shard,
                                              .first = job->shard->first,
                                              .count = job->shard->count,
                                              .is_checked = true,
                                              .workspace = workspace});
}

static void allocate(streams *self, esp_repair_job *job) {
  const esp_model *dense = job->dense;
  const int64_t rows = esp_shard_count_rows(job->shard);
  const int64_t widest = larger(dense->max_features, dense->max_state);
  *self = (streams){.job = job,
                    .x_dense = ESP_NEW(float, rows *widest),
                    .x = ESP_NEW(float, rows *widest),
                    .target = ESP_NEW(float, rows *count_targets(job)),
                    .weight = ESP_NEW(float, rows)};
  open_stream(&self->dense, job, job->dense, NULL);
  open_stream(&self->pruned, job, job->pruned, self->dense.workspace);
}

void streams_close_local(streams *self) {
  esp_stream_clear(&self->pruned);
  esp_stream_clear(&self->dense);
  esp_free(&self->x_dense);
  esp_free(&self->x);
  esp_free(&self->target);
  esp_free(&self->weight);
  esp_free(&self->kept);
}

static int64_t count_kept(const streams *self, int stage) {
  return self->pruned.rows * esp_stage_features(&self->job->pruned->stages[stage]);
}

void streams_make_room_local(streams *self, int stage) {
  self->kept = ESP_NEW(float, self->pruned.count *count_kept(self, stage));
}

void streams_note_local(streams *self, int stage, int64_t i) {
  const int64_t n = count_kept(self, stage);
  memcpy(self->kept + i * n, self->x, (size_t)n * sizeof *self->x);
}

void streams_advance_pruned_local(streams *self, int stage) {
  for (int64_t i = 0; i < self->pruned.count; i++) {
    const esp_step step = esp_stream_step(&self->pruned, stage, i);
    esp_step_consume(&step, self->kept + i * count_kept(self, stage));
    esp_step_finish(&step);
  }
  esp_free(&self->kept);
}

static esp_status embed_local(streams *self) {
  ESP_TRY(esp_stream_embed(&self->dense));
  return esp_stream_embed(&self->pruned);
}

esp_status streams_open(streams *self, esp_repair_job *job) {
  allocate(self, job);
  return esp_agree(job->comm, embed_local(self));
}
