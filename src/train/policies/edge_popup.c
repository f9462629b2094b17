/* Edge-popup [Ramanujan et al. 2020]: weights stay as they are; every one has a score, those of the
 * largest |score| of each matrix are there, and scores follow the gradient straight through that
 * choice: ds = dL/dw' w, w' what the model computes with. */
#include "policies.h"

#include "espalier/core/memory.h"
#include "espalier/core/rng.h"

#include <math.h>
#include <string.h>

enum { SCORES, VELOCITY, ARRAYS };
static const uint64_t stream_scores = UINT64_C(0xd5710) << 40;
static const float momentum = 0.9f, decay = 1e-4f;

static bool has_input_axis(const esp_slice *slices, int n, int weight, int axis) {
  for (int s = 0; s < n; s++)
    if (slices[s].weight == weight && slices[s].axis == axis) return true;
  return false;
}

/* The first axis of a matrix is its outputs, but where it is stored the other way. */
static int64_t find_fan_in(const esp_model *model, int weight) {
  bool is_input_major = false;
  for (int i = 0; i < model->n_stages; i++) {
    const esp_stage *of = &model->stages[i];
    is_input_major = is_input_major || has_input_axis(of->consumers, of->n_consumers, weight, 0) ||
                     has_input_axis(of->producers, of->n_producers, weight, 1);
  }
  return model->weights[weight].shape[is_input_major ? 0 : 1];
}

/* Kaiming-uniform with a = sqrt(5): within 1 / sqrt(fan-in). */
static void draw_scores(training *self, const parts_run *run) {
  const double bound = 1.0 / sqrt((double)find_fan_in(self->parts.model, run->weight));
  float *scores = self->pruning.arrays[SCORES] + run->own;
  for (int64_t i = 0; i < run->n; i++)
    scores[i] = (float)(bound * (2.0 * esp_rng_uniform(self->request->seed, stream_scores,
                                                       (uint64_t)(run->place + i)) -
                                 1.0));
}

/* The size that keeps a signal's variance through a layer of so many weights. */
static void set_signed(training *self, const parts_run *run) {
  const double kept = 1.0 - self->pruning.options->final_sparsity;
  const double fan_in = (double)find_fan_in(self->parts.model, run->weight);
  const float size = (float)sqrt(2.0 / (fan_in * kept));
  float *values = self->pruning.latent + run->own;
  for (int64_t i = 0; i < run->n; i++)
    if (values[i] != 0.0f) values[i] = copysignf(size, values[i]);
}

static bool is_scored(const training *self, const parts_run *run) {
  return self->pruning.matrix_of[run->weight] >= 0;
}

/* What a mask of the file holds at zero comes last. */
static void choose(training *self) {
  const train_pruning *pruning = &self->pruning;
  float *sizes = ESP_NEW(float, self->parts.n_own);
  for (int64_t i = 0; i < self->parts.n_own; i++)
    sizes[i] = pruning->latent[i] != 0.0f ? fabsf(pruning->arrays[SCORES][i]) : -1.0f;
  pruning_keep_weights(self->comm, &self->pruning, sizes, NULL, pruning->options->final_sparsity);
  esp_free(&sizes);
}

static esp_status begin(training *self) {
  const bool is_signed = strcmp(self->pruning.options->frozen_values, "signed") == 0;
  for (int r = 0; r < self->parts.n_runs; r++) {
    if (!is_scored(self, &self->parts.runs[r])) continue;
    draw_scores(self, &self->parts.runs[r]);
    if (is_signed) set_signed(self, &self->parts.runs[r]);
  }
  choose(self);
  return ESP_OK;
}

static float get_sign(float x) {
  return (float)((x > 0.0f) - (x < 0.0f));
}

/* SGD with momentum; the rate takes the form of the schedule. */
static void update_scores(training *self, const parts_run *run, float rate) {
  const float *gradient = self->gradients.mean + run->own, *w = self->pruning.latent + run->own;
  float *scores = self->pruning.arrays[SCORES] + run->own;
  float *velocity = self->pruning.arrays[VELOCITY] + run->own;
  for (int64_t i = 0; i < run->n; i++) {
    const float slope = gradient[i] * w[i] * get_sign(scores[i]);
    velocity[i] = momentum * velocity[i] + slope + decay * scores[i];
    scores[i] -= rate * velocity[i];
  }
}

static esp_status after_gradient(training *self) {
  schedule_shape shape = self->schedule;
  shape.rate = self->pruning.options->score_rate;
  const float rate = (float)schedule_compute_rate(&shape, self->progress.step);
  for (int r = 0; r < self->parts.n_runs; r++)
    if (is_scored(self, &self->parts.runs[r])) update_scores(self, &self->parts.runs[r], rate);
  return ESP_OK;
}

static esp_status after_step(training *self) {
  choose(self);
  return ESP_OK;
}

static const char *const options[] = {"distribution", "min-keep", "score-rate", "frozen-values",
                                      NULL};

const policy policy_edge_popup = {
    .name = "edge-popup",
    .granularities = POLICY_WEIGHTS,
    .masked = POLICY_KEPT,
    .holds_weights = true,
    .n_arrays = ARRAYS,
    .distribution = "uniform",
    .defaults = {.score_rate = 0.1, .prune_from = 0, .prune_to = 1, .prune_every = 1}, // plan
    .options = options,
    .begin = begin,
    .after_gradient = after_gradient,
    .after_step = after_step};
