/* The loop of steps: pass, update, points of the curve, best weights, checkpoints. */
#include "diverged.h"
#include "early_file.h"
#include "policy.h"

#include "espalier/core/interrupt.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void update_run(training *self, const parts_run *run, double rate) {
  const esp_train_options *options = self->request->options;
  const bool is_matrix = self->parts.model->weights[run->weight].rank > 1;
  optimizer_step step = {.n = run->n,
                         .number = self->progress.step + 1,
                         .rate = rate,
                         .weight_decay = is_matrix ? options->weight_decay : 0.0,
                         .momentum = options->momentum,
                         .beta2 = options->beta2,
                         .gradient = self->gradients.mean + run->own,
                         .parameters = parts_find_values(&self->parts, run)};
  for (int s = 0; s < self->method->n_slots; s++) step.slots[s] = self->slots[s] + run->own;
  self->method->apply(&step);
}

static void update(training *self) {
  const double rate = schedule_compute_rate(&self->schedule, self->progress.step);
  for (int r = 0; r < self->parts.n_runs; r++) update_run(self, &self->parts.runs[r], rate);
}

/* Before the update: what the policy makes of the gradient. */
static esp_status prepare_gradient(training *self) {
  const policy *of = self->pruning.of;
  self->pruning.skips_update = false;
  if (of && of->after_gradient) ESP_TRY(of->after_gradient(self));
  pruning_hold_gradient(&self->pruning, self->gradients.mean);
  gradients_clip(self->comm, &self->gradients, self->request->options->clip);
  return ESP_OK;
}

/* Where the policy has others than latent ones and zeros: as the next step has them, or as they
 * would be written. */
static void set_weights(training *self, bool as_result) {
  const policy *of = self->pruning.of;
  if (!of || !of->set_weights) return;
  of->set_weights(self, as_result);
  parts_gather(self->comm, &self->parts, NULL);
}

static esp_status finish_step(training *self) {
  const policy *of = self->pruning.of;
  self->progress.step++;
  if (of && of->after_step) ESP_TRY(of->after_step(self));
  if (of && of->set_weights) of->set_weights(self, false);
  parts_gather(self->comm, &self->parts, NULL);
  return early_write_if_due(self);
}

/* Far above what guessing costs: exp(-1000) is no probability that a model at work gives. With
 * held-out data such weights are never written. */
static const double most_nats = 1000.0;

static esp_status check_loss(const training *self) {
  const esp_tally *tally = &self->progress.tally;
  const double loss = esp_tally_compute_loss(tally);
  char found[96];
  if (self->held.objective || tally->unit != 0.0 || loss <= most_nats) return ESP_OK;
  snprintf(found, sizeof found, "the loss is %.0f nats a target, expected at most %.0f", loss,
           most_nats);
  return diverged_fail(self, self->progress.step + 1, found);
}

static esp_status make_step(training *self) {
  const int64_t step = self->progress.step, batch = self->request->options->batch;
  const int64_t begin = step % self->per_epoch * batch, left = self->n_samples - begin;
  order_set_epoch(self, step / self->per_epoch);
  ESP_TRY(pass_run(self, (esp_sample_range){begin, left < batch ? left : batch},
                   &self->progress.tally));
  ESP_TRY(check_loss(self));
  ESP_TRY(prepare_gradient(self));
  if (!self->pruning.skips_update) {
    pruning_before_update(&self->pruning);
    update(self);
    pruning_after_update(&self->pruning);
  }
  return finish_step(self);
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
      .sparsity = self->pruning.of ? pruning_get_sparsity(&self->pruning) : (double)NAN,
      .error = at->step > 0 && self->held.objective ? held_out_compare_local(&self->held).error
                                                    : (double)NAN};
  esp_free(&self->report.points);
  self->report.points = points;
}

static void say_point(const training *self) {
  const esp_train_point *at = &self->report.points[self->report.n_points - 1];
  char held_out[64] = "", sparsity[64] = "";
  if (isfinite(at->held_out)) snprintf(held_out, sizeof held_out, ", held out %.4f", at->held_out);
  if (isfinite(at->sparsity))
    snprintf(sparsity, sizeof sparsity, ", %.2f %% pruned", 100.0 * at->sparsity);
  if (at->step == 0)
    esp_log_info("train: before the first of %" PRId64 " steps: held out %.4f nats",
                 self->schedule.n, at->held_out);
  else
    esp_log_info("train: step %" PRId64 " of %" PRId64 ": loss %.4f%s nats, %.2f %% right%s",
                 at->step, self->schedule.n, at->loss, held_out, 100.0 * at->accuracy, sparsity);
}

/* Weights that a policy has not finished with are no result. */
static bool may_be_best(const training *self) {
  const policy *of = self->pruning.of;
  return !of || !of->is_final || of->is_final(self);
}

static bool is_best(const training *self, double loss) {
  const train_progress *at = &self->progress;
  const policy *of = self->pruning.of;
  if (of && of->is_result) return of->is_result(self, loss);
  if (at->best_step < 0) return true;
  return loss < at->best && (of || held_out_is_clear_local(&self->held));
}

/* Remember the weights, if none were better and, without a policy, they are better than those
 * before the first step, beyond what chance does to held-out data. */
static bool keep_best(training *self, double loss) {
  if (!is_best(self, loss)) return false;
  self->progress.best = loss;
  self->progress.best_step = self->progress.step;
  parts_copy_own_local(&self->parts, self->best);
  return true;
}

static void judge(training *self, double loss) {
  train_progress *at = &self->progress;
  const int64_t patience = self->request->options->patience;
  const bool is_first = at->best_step < 0;
  if (at->step == 0) held_out_keep_local(&self->held);
  if (!may_be_best(self)) return;
  const bool is_new = keep_best(self, loss) && self->pruning.of;
  at->without = is_first || is_new || loss < at->lowest ? 0 : at->without + 1;
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
  if (self->pruning.of || !self->best || at->best_step > 0 ||
      at->retries >= self->request->options->retries)
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

/* What the policy makes of a point, whose weights and sparsity are those before. */
static esp_status end_point(training *self, double held_out) {
  const policy *of = self->pruning.of;
  const bool acts = of && of->after_measure && self->progress.step > 0;
  if (acts) ESP_TRY(of->after_measure(self, held_out));
  if (acts) parts_gather(self->comm, &self->parts, NULL);
  set_weights(self, false);
  return ESP_OK;
}

static esp_status measure_held_out(training *self, double *loss) {
  const esp_status status = held_out_measure(self->comm, &self->held, &self->parts, loss);
  return diverged_explain(self, status, self->progress.step,
                          "its outputs on held-out data are not finite");
}

/* A point of the curve; the tally begins anew. */
static esp_status evaluate(training *self) {
  double loss = (double)NAN;
  set_weights(self, true);
  if (self->held.objective) {
    ESP_TRY(measure_held_out(self, &loss));
    judge(self, loss);
  }
  if (self->held.objective || self->progress.step > 0) {
    add_point(self, loss);
    say_point(self);
  }
  self->progress.tally = (esp_tally){0};
  return end_point(self, loss);
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

/* Tokens, or samples, of so many steps. */
static int64_t count_units(const training *self, int64_t steps) {
  const esp_train_options *options = self->request->options;
  return steps * options->batch * esp_shard_count_rows(&self->shard) / options->micro_batch;
}

static void tell(const training *self, esp_progress *progress) {
  char note[64] = "";
  if (self->progress.tally.targets > 0)
    snprintf(note, sizeof note, "loss %.4f", esp_tally_compute_loss(&self->progress.tally));
  esp_progress_update(progress, count_units(self, self->progress.step), note);
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

/* Before the first step. */
static esp_status begin(training *self) {
  const policy *of = self->pruning.of;
  if (of && of->begin) ESP_TRY(of->begin(self));
  if (of) parts_gather(self->comm, &self->parts, NULL);
  ESP_TRY(early_write_if_due(self));
  return evaluate(self);
}

esp_status steps_run(training *self) {
  esp_progress progress;
  bool found = false;
  ESP_TRY(checkpoint_load(self, &found));
  set_rate(self);
  if (found) esp_log_info("train: going on after step %" PRId64, self->progress.step);
  ESP_TRY(found ? early_check_file(self) : begin(self));
  if (found) set_weights(self, false);
  const int64_t rows = esp_shard_count_rows(&self->shard) / self->request->options->micro_batch;
  esp_progress_init(&progress, "train", rows > 1 ? "tokens" : "samples",
                    count_units(self, self->schedule.n));
  progress.begun = count_units(self, self->progress.step);
  const esp_status status = run_steps(self, &progress);
  esp_progress_clear(&progress);
  ESP_TRY(status);
  if (self->best && self->progress.best_step >= 0)
    parts_gather(self->comm, &self->parts, self->best);
  else
    set_weights(self, true);
  held_out_round_local(&self->parts);
  return ESP_OK;
}
