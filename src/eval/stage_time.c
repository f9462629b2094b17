#include "espalier/eval/stage_time.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/model/forward.h"

#include <math.h>
#include <string.h>
#include <time.h>

enum { ROWS = 256, LEAST_RUNS = 3, SMALL_BYTE = 0x3a }; // four of them: 7.1e-4

static const double least_s = 0.03; // of the runs of a part together
static const double long_s = 0.1;   // a run that noise does not double

/* A part of a model, and what it reads. */
typedef struct timed_part {
  esp_call call;
  esp_pass pass;
  int32_t *tokens; // (ROWS)
  float *pixels;   // (ROWS, pixels)
} timed_part;

/* Pages that were never written would all be one page of zeros, in the cache. */
static void fill(esp_model *shape, int stage) {
  for (int i = 0; i < shape->n_weights; i++) {
    if (shape->weights[i].stage != stage || shape->weights[i].value) continue;
    float *value = esp_weight_own(&shape->weights[i]);
    memset(value, SMALL_BYTE, (size_t)esp_weight_count(&shape->weights[i]) * sizeof *value);
  }
}

static void make_batch(timed_part *self, const esp_model *shape) {
  esp_batch *batch = &self->call.batch;
  batch->kind = shape->family->input;
  if (batch->kind == ESP_DATA_TOKENS) {
    batch->count = 1;
    batch->width = shape->max_length > 0 && shape->max_length < ROWS ? shape->max_length : ROWS;
    batch->tokens = self->tokens = ESP_NEW(int32_t, batch->width);
    for (int64_t i = 0; i < batch->width; i++)
      self->tokens[i] = (int32_t)(esp_rng_u64(1, 3, (uint64_t)i) % (uint64_t)shape->vocabulary);
  } else {
    batch->count = ROWS;
    batch->width = shape->n_inputs;
    batch->pixels = self->pixels = ESP_NEW(float, ROWS * batch->width);
    for (int64_t i = 0; i < ROWS * batch->width; i++)
      self->pixels[i] = (float)esp_rng_uniform(1, 4, (uint64_t)i);
  }
}

static void init(timed_part *self, esp_model *shape, int stage) {
  *self = (timed_part){.call = {.model = shape, .stage = stage}};
  fill(shape, stage);
  if (stage == shape->n_stages && shape->is_head_tied) fill(shape, ESP_STAGE_EMBED);
  make_batch(self, shape);
  const int64_t rows = esp_batch_count_rows(&self->call.batch);
  esp_pass_init(&self->pass, shape, rows);
  for (int64_t i = 0; i < rows * shape->max_state; i++)
    self->pass.state[i] = (float)esp_rng_uniform(1, 5, (uint64_t)i) - 0.5f;
  self->call.workspace = &self->pass.workspace;
}

static void clear(timed_part *self) {
  esp_pass_clear(&self->pass);
  esp_free(&self->tokens);
  esp_free(&self->pixels);
}

static void run(timed_part *self) {
  const esp_call *call = &self->call;
  if (call->stage == ESP_STAGE_EMBED) {
    esp_call_embed(call, self->pass.state);
  } else if (call->stage == call->model->n_stages) {
    esp_call_head(call, self->pass.state, self->pass.logits);
  } else {
    esp_call_produce(call, self->pass.state, self->pass.x);
    esp_call_consume(call, self->pass.x, self->pass.state);
    esp_call_finish(call, self->pass.state);
  }
}

/* Seconds of the processor, where others took turns on it; those of threads add up, but not in time
 * as it passes. */
static double run_once(timed_part *self) {
  const double start = esp_now_s();
  const clock_t before = clock();
  run(self);
  const double processor_s = (double)(clock() - before) / CLOCKS_PER_SEC;
  return fmin(processor_s > 0.0 ? processor_s : INFINITY, esp_now_s() - start);
}

double esp_eval_time_stage(esp_model *shape, int stage) {
  timed_part self;
  init(&self, shape, stage);
  double best = run_once(&self); // touches memory
  const double end = esp_now_s() + least_s;
  const int least = best > long_s ? 1 : LEAST_RUNS;
  for (int i = 0; i < least || esp_now_s() < end; i++) best = fmin(best, run_once(&self));
  clear(&self);
  return fmax(best, 1e-9);
}

bool esp_eval_is_same_work(const esp_stage *a, const esp_stage *b) {
  return strcmp(a->kind, b->kind) == 0 && a->units == b->units && a->width == b->width &&
         a->per_group == b->per_group && a->state_in == b->state_in &&
         a->state_out == b->state_out && a->window == b->window &&
         a->n_producers == b->n_producers && a->n_shared == b->n_shared;
}

/* Of a model of its own, so that the memory is one part's. */
static double time_part(json_t *config, int stage) {
  esp_model *shape;
  const esp_status status = esp_model_new(config, &shape);
  ESP_ASSERT(status == ESP_OK); // it has been described before
  const double took = esp_eval_time_stage(shape, stage);
  esp_model_free(&shape);
  return took;
}

double esp_eval_time_parts(json_t *config) {
  esp_model *shape;
  const esp_status status = esp_model_new(config, &shape);
  ESP_ASSERT(status == ESP_OK);
  const int n = shape->n_stages;
  double *took = ESP_NEW(double, n);
  double sum = time_part(config, ESP_STAGE_EMBED) + time_part(config, n);
  for (int s = 0; s < n; s++) {
    int same = 0;
    while (!esp_eval_is_same_work(&shape->stages[same], &shape->stages[s])) same++;
    took[s] = same < s ? took[same] : time_part(config, s);
    sum += took[s];
  }
  esp_free(&took);
  esp_model_free(&shape);
  return sum;
}
