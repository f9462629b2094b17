/* The loop of steps: order of samples, pass, update, points of the curve, best weights,
 * checkpoints. */
#include "train_internal.h"

#include "espalier/core/interrupt.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STREAM_ORDER = 1 << 20 };

/* Shuffle the samples that train anew for every epoch. */
static void set_epoch(training *self, int64_t epoch) {
  if (self->epoch == epoch) return;
  int64_t *order = ESP_NEW(int64_t, self->n_samples);
  esp_rng_permutation(self->request->seed, STREAM_ORDER + (uint64_t)epoch, self->n_samples, order);
  for (int64_t i = 0; i < self->n_samples; i++) order[i] = self->samples[order[i]];
  esp_shard_set_order(&self->shard, order);
  esp_free(&order);
  self->masking.pass = (uint64_t)epoch + 1;
  self->epoch = epoch;
}

static void update_piece(training *self, const parts_piece *piece, double rate) {
  const esp_train_options *options = self->request->options;
  const int64_t from = parts_own_begin(&self->parts, piece);
  const int64_t to = parts_own_end(&self->parts, piece);
  parts_segment segment;
  for (int w = 0; w < self->parts.model->n_weights; w++) {
    if (!parts_find_segment(&self->parts, piece, w, from, to, &segment)) continue;
    const esp_weight *weight = &self->parts.model->weights[w];
    const int64_t own = piece->own + segment.place - from;
    optimizer_step step = {.n = segment.n,
                           .number = self->progress.step + 1,
                           .rate = rate,
                           .weight_decay = weight->rank > 1 ? options->weight_decay : 0.0,
                           .momentum = options->momentum,
                           .gradient = self->gradients.mean + own,
                           .parameters = weight->value + segment.at};
    for (int s = 0; s < self->method->n_slots; s++) step.slots[s] = self->slots[s] + own;
    self->method->apply(&step);
  }
}

static void update(training *self) {
  const double rate = schedule_compute_rate(&self->schedule, self->progress.step);
  for (int p = 0; p < self->parts.n_pieces; p++) update_piece(self, &self->parts.pieces[p], rate);
  parts_gather(self->comm, &self->parts, NULL);
  self->progress.step++;
}

static esp_status make_step(training *self) {
  const int64_t step = self->progress.step, batch = self->request->options->batch;
  const int64_t begin = step % self->per_epoch * batch, left = self->n_samples - begin;
  set_epoch(self, step / self->per_epoch);
  ESP_TRY(pass_run(self, (esp_sample_range){begin, left < batch ? left : batch},
                   &self->progress.tally));
  update(self);
  return ESP_OK;
}

static void add_point(training *self, double held_out) {
  const train_progress *at = &self->progress;
  esp_train_point *points = ESP_NEW(esp_train_point, self->report.n_points + 1);
  for (int i = 0; i < self->report.n_points; i++) points[i] = self->report.points[i];
  const double targets = (double)at->tally.targets;
  const bool has = at->tally.targets > 0;
  points[self->report.n_points++] = (esp_train_point){
      .step = at->step,
      .rate = at->step > 0 ? schedule_compute_rate(&self->schedule, at->step - 1) : 0.0,
      .norm = self->gradients.norm,
      .loss = has ? esp_tally_compute_loss(&at->tally) : (double)NAN,
      .accuracy = has ? (double)at->tally.correct / targets : (double)NAN,
      .held_out = held_out,
      .error = at->step > 0 && self->held.objective ? held_out_compare_local(&self->held).error
                                                    : (double)NAN};
  esp_free(&self->report.points);
  self->report.points = points;
}

static void say_point(const training *self) {
  const esp_train_point *at = &self->report.points[self->report.n_points - 1];
  char held_out[64] = "";
  if (isfinite(at->held_out)) snprintf(held_out, sizeof held_out, ", held out %.4f", at->held_out);
  if (at->step == 0)
    esp_log_info("train: before the first of %" PRId64 " steps: held out %.4f nats",
                 self->schedule.n, at->held_out);
  else
    esp_log_info("train: step %" PRId64 " of %" PRId64 ": loss %.4f%s nats, %.2f %% right",
                 at->step, self->schedule.n, at->loss, held_out, 100.0 * at->accuracy);
}

/* Remember the weights, if none were better and they are better than those before the first step,
 * beyond what chance does to held-out data. */
static void keep_best(training *self, double loss) {
  train_progress *at = &self->progress;
  if (at->step == 0) held_out_keep_local(&self->held);
  if (at->step > 0 && !(loss < at->best && held_out_is_clear_local(&self->held))) return;
  at->best = loss;
  at->best_step = at->step;
  parts_copy_own_local(&self->parts, self->best);
}

static void judge(training *self, double loss) {
  train_progress *at = &self->progress;
  const int64_t patience = self->request->options->patience;
  keep_best(self, loss);
  at->without = at->step == 0 || loss < at->lowest ? 0 : at->without + 1;
  if (at->without == 0) {
    at->lowest = loss;
    return;
  }
  at->is_stopped = patience > 0 && at->without >= patience;
  if (at->is_stopped && at->step < self->schedule.n)
    esp_log_info("train: no better weights in %" PRId64 " evaluations: stopped", at->without);
}

/* The rate of the run that is under way. */
static void set_rate(training *self) {
  self->schedule.rate = ldexp(self->request->options->rate, -2 * (int)self->progress.retries);
}

/* Begin again from the weights as they were, where no step was better and the rate may be too high.
 * False: it was, or there were retries enough. Collective. */
static bool try_again(training *self) {
  train_progress *at = &self->progress;
  if (!self->best || at->best_step > 0 || at->retries >= self->request->options->retries)
    return false;
  esp_log_info("train: no step was clearly better: again with a quarter of the rate");
  const double best = at->best;
  *at = (train_progress){.best = best, .lowest = best, .retries = at->retries + 1};
  set_rate(self);
  parts_gather(self->comm, &self->parts, self->best);
  for (int s = 0; s < self->method->n_slots; s++)
    memset(self->slots[s], 0, (size_t)self->parts.n_own * sizeof *self->slots[s]);
  self->report.n_points = 1; // before the first step
  return true;
}

/* A point of the curve; the tally begins anew. */
static esp_status evaluate(training *self) {
  double loss = (double)NAN;
  if (self->held.objective) {
    ESP_TRY(held_out_measure(self->comm, &self->held, &self->parts, &loss));
    judge(self, loss);
  }
  if (self->held.objective || self->progress.step > 0) {
    add_point(self, loss);
    say_point(self);
  }
  self->progress.tally = (esp_tally){0};
  return ESP_OK;
}

static bool is_done(const training *self) {
  return self->progress.step >= self->schedule.n || self->progress.is_stopped;
}

static bool is_asked_to_stop(const training *self) {
  const int64_t after = self->request->options->stop_after;
  const bool mine = esp_interrupt_seen() || (after > 0 && self->progress.step == after);
  return esp_agree_max_i64(self->comm, mine) > 0;
}

static esp_status stop(const training *self) {
  const char *where = self->request->checkpoint;
  if (where) ESP_TRY(checkpoint_save(self));
  return esp_fail(ESP_INTERRUPTED,
                  "training stopped after step %" PRId64 " of %" PRId64 " as asked; %s",
                  self->progress.step, self->schedule.n,
                  where ? "the same command goes on" : "there is no checkpoint to go on from");
}

/* Rank 0's clock counts. */
static esp_status save_if_due(const training *self, double *last_s) {
  const bool is_due = self->comm->rank == 0 && self->request->checkpoint &&
                      esp_now_s() - *last_s >= self->request->save_every_s;
  if (esp_agree_max_i64(self->comm, is_due) == 0) return ESP_OK;
  ESP_TRY(checkpoint_save(self));
  *last_s = esp_now_s();
  return ESP_OK;
}

static void tell(const training *self, esp_progress *progress) {
  char note[64] = "";
  if (self->progress.tally.targets > 0)
    snprintf(note, sizeof note, "loss %.4f", esp_tally_compute_loss(&self->progress.tally));
  const int64_t batch = self->request->options->batch * esp_shard_count_rows(&self->shard) /
                        self->request->options->micro_batch;
  esp_progress_update(progress, self->progress.step * batch, note);
}

static esp_status run_steps(training *self, esp_progress *progress) {
  double last_s = esp_now_s();
  while (!is_done(self) || try_again(self)) {
    ESP_TRY(make_step(self));
    tell(self, progress);
    if (self->progress.step % self->evaluate_every == 0 || self->progress.step == self->schedule.n)
      ESP_TRY(evaluate(self));
    if (is_done(self)) continue;
    if (is_asked_to_stop(self)) return stop(self);
    ESP_TRY(save_if_due(self, &last_s));
  }
  return ESP_OK;
}

esp_status steps_run(training *self) {
  esp_progress progress;
  bool found = false;
  ESP_TRY(checkpoint_load(self, &found));
  set_rate(self);
  if (found)
    esp_log_info("train: going on after step %" PRId64, self->progress.step);
  else
    ESP_TRY(evaluate(self));
  const int64_t rows = esp_shard_count_rows(&self->shard) / self->request->options->micro_batch;
  esp_progress_init(&progress, "train", rows > 1 ? "tokens" : "samples",
                    self->schedule.n * self->request->options->batch * rows);
  const esp_status status = run_steps(self, &progress);
  esp_progress_clear(&progress);
  ESP_TRY(status);
  if (self->best) parts_gather(self->comm, &self->parts, self->best);
  held_out_round_local(&self->parts);
  return ESP_OK;
}
