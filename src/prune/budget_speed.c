/* --min-speed-up: how many times as fast a pass is, by a table of the times of stages at some
 * sizes, measured on rank 0 and the same on all. Between two sizes the time is interpolated. */
#include "budgets.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/eval/stage_time.h"
#include "espalier/surgery/cut.h"

#include <math.h>
#include <string.h>

enum { MOST_ROUNDS = 4 };

static const char record_name[] = "layer times";
static const double rounds_s = 2.0; // after which no round begins

static double get_asked(const esp_allocation_options *options) {
  return options->min_speed_up;
}

static esp_status check(const esp_prune_request *request) {
  if (request->sparsity[request->dense->n_stages] < 0.0) return ESP_OK;
  return esp_fail(ESP_USAGE, "--min-speed-up: times of layers are known by their units, not by the "
                             "width; choose other --sites, or --max-parameters");
}

static double interpolate(const esp_stage_times *self, int64_t units) {
  int i = 0;
  if (units <= 0) return 0.0;
  while (i < self->n - 1 && self->kept[i] < units) i++;
  const double above = self->seconds[i], below = i > 0 ? self->seconds[i - 1] : 0.0;
  const double from = i > 0 ? (double)self->kept[i - 1] : 0.0;
  const double part = ((double)units - from) / ((double)self->kept[i] - from);
  return below + fmin(part, 1.0) * (above - below);
}

/* Outputs that stay: of a perceptron, whose consumer writes the units above. */
static double find_part(const esp_model *dense, const esp_model *model, int stage) {
  if (dense->width.units > 0) return 1.0;
  return (double)model->stages[stage].state_out / (double)dense->stages[stage].state_out;
}

/* Stages of the dense model, by what is left of each; or its layers, some of which have gone. */
static double sum_times(const esp_prune_request *request, const esp_model *model) {
  const esp_model *dense = request->dense;
  const esp_time_table *times = &request->budget->times;
  double sum = times->head_s + times->embed_s * (dense->width.units > 0 || dense->n_stages == 0
                                                     ? 1.0
                                                     : (double)model->stages[0].state_in /
                                                           (double)dense->stages[0].state_in);
  for (int s = 0; s < model->n_stages; s++) {
    const esp_stage *stage = &model->stages[s];
    const esp_stage_times *work = &times->works[times->work_of[s]];
    const int64_t merged = dense->stages[s].width > 0 ? dense->stages[s].width : 1;
    sum += find_part(dense, model, s) * interpolate(work, stage->units * stage->width / merged);
  }
  return sum;
}

static double measure(const esp_prune_request *request, const esp_model *model) {
  if (request->budget->times.n_works == 0) return 1.0;
  return sum_times(request, request->dense) / sum_times(request, model);
}

static void find_works(const esp_model *dense, esp_time_table *times) {
  times->work_of = ESP_NEW(int, dense->n_stages);
  times->works = ESP_NEW(esp_stage_times, dense->n_stages);
  for (int s = 0; s < dense->n_stages; s++) {
    int w = 0;
    while (w < times->n_works &&
           !esp_eval_is_same_work(&dense->stages[times->works[w].stage], &dense->stages[s]))
      w++;
    if (w == times->n_works) times->works[times->n_works++].stage = s;
    times->work_of[s] = w;
  }
}

/* Eighths of the units, in whole shares of groups, and the least. */
static void choose_sizes(const esp_stage *stage, esp_stage_times *self) {
  const int64_t groups = stage->per_group > 1 ? stage->units / stage->per_group : 1;
  const int64_t steps = stage->units / groups;
  for (int i = 0; i < ESP_TIME_POINTS; i++) {
    const int64_t step = i == 0 ? 1 : (steps * i + ESP_TIME_POINTS - 2) / (ESP_TIME_POINTS - 1);
    if (step == 0 || (self->n > 0 && step * groups <= self->kept[self->n - 1])) continue;
    self->kept[self->n++] = step * groups;
  }
}

static esp_status time_size(const esp_model *dense, int stage, int64_t units, double *seconds) {
  esp_model *shape;
  int64_t *counts = ESP_NEW(int64_t, dense->n_stages + 1);
  for (int s = 0; s < dense->n_stages; s++) counts[s] = dense->stages[s].units;
  counts[stage] = units;
  const esp_status status = esp_model_resize(dense, counts, &shape);
  if (status == ESP_OK) *seconds = esp_eval_time_stage(shape, stage);
  if (status == ESP_OK) esp_model_free(&shape);
  esp_free(&counts);
  return status;
}

static esp_status time_work(const esp_model *dense, esp_stage_times *self) {
  for (int i = 0; i < self->n; i++) {
    double took;
    ESP_TRY(time_size(dense, self->stage, self->kept[i], &took));
    self->seconds[i] = self->seconds[i] > 0.0 ? fmin(took, self->seconds[i]) : took;
  }
  return ESP_OK;
}

/* More units never take less time. */
static void straighten(esp_stage_times *self) {
  for (int i = 1; i < self->n; i++) self->seconds[i] = fmax(self->seconds[i], self->seconds[i - 1]);
}

static esp_status time_part(const esp_model *dense, int stage, double *seconds) {
  esp_model *shape;
  ESP_TRY(esp_model_new(dense->config, &shape));
  const double took = esp_eval_time_stage(shape, stage);
  *seconds = *seconds > 0.0 ? fmin(took, *seconds) : took;
  esp_model_free(&shape);
  return ESP_OK;
}

static esp_status time_round(const esp_model *dense, esp_time_table *times) {
  ESP_TRY(time_part(dense, ESP_STAGE_EMBED, &times->embed_s));
  ESP_TRY(time_part(dense, dense->n_stages, &times->head_s));
  for (int w = 0; w < times->n_works; w++) ESP_TRY(time_work(dense, &times->works[w]));
  return ESP_OK;
}

/* All sizes in turn, again and again, so that what slows the machine for a while slows none of them
 * alone; the fastest of each. */
static esp_status time_all_local(const esp_model *dense, esp_time_table *times) {
  const double end = esp_now_s() + rounds_s;
  for (int i = 0; i == 0 || (i < MOST_ROUNDS && esp_now_s() < end); i++)
    ESP_TRY(time_round(dense, times));
  for (int w = 0; w < times->n_works; w++) straighten(&times->works[w]);
  return ESP_OK;
}

/* What is kept of it: the times of all sizes, then of the ends. */
static int64_t count_values(const esp_time_table *times) {
  return times->n_works * (int64_t)ESP_TIME_POINTS + 2;
}

static void put(const esp_time_table *times, double *values) {
  for (int w = 0; w < times->n_works; w++, values += ESP_TIME_POINTS)
    memcpy(values, times->works[w].seconds, sizeof times->works[w].seconds);
  values[0] = times->embed_s;
  values[1] = times->head_s;
}

static void take(esp_time_table *times, const double *values) {
  for (int w = 0; w < times->n_works; w++, values += ESP_TIME_POINTS)
    memcpy(times->works[w].seconds, values, sizeof times->works[w].seconds);
  times->embed_s = values[0];
  times->head_s = values[1];
}

static esp_status share(const esp_comm *comm, const esp_model *dense, esp_time_table *times,
                        double *values, prune_journal *journal) {
  const int64_t bytes = count_values(times) * (int64_t)sizeof *values;
  bool found = false;
  if (journal) ESP_TRY(journal_load_unit(journal, record_name, bytes, values, &found));
  if (!found) {
    ESP_TRY(esp_agree(comm, comm->rank == 0 ? time_all_local(dense, times) : ESP_OK));
    if (comm->rank == 0) put(times, values);
    esp_bcast(comm, values, bytes, 0);
  }
  take(times, values);
  return journal && !found ? journal_save_unit(journal, record_name, bytes, values) : ESP_OK;
}

esp_status budget_speed_prepare(const esp_comm *comm, esp_prune_request *request,
                                prune_journal *journal) {
  esp_time_table *times = &request->budget->times;
  if (get_asked(&request->settings->allocation) <= 0.0) return ESP_OK;
  find_works(request->dense, times);
  for (int w = 0; w < times->n_works; w++)
    choose_sizes(&request->dense->stages[times->works[w].stage], &times->works[w]);
  double *values = ESP_NEW(double, count_values(times));
  const esp_status status = share(comm, request->dense, times, values, journal);
  esp_free(&values);
  return status;
}

/* By turns; the fastest of each. */
static void time_both(const esp_model *dense, const esp_model *pruned, double took[2]) {
  const double end = esp_now_s() + rounds_s;
  for (int i = 0; i == 0 || (i < MOST_ROUNDS && esp_now_s() < end); i++) {
    took[0] = fmin(took[0], esp_eval_time_parts(dense->config));
    took[1] = fmin(took[1], esp_eval_time_parts(pruned->config));
  }
}

void budget_speed_measure(const esp_comm *comm, esp_prune_request *request,
                          const esp_model *pruned) {
  const double asked = get_asked(&request->settings->allocation);
  double took[2] = {INFINITY, INFINITY};
  if (asked <= 0.0) return;
  if (comm->rank == 0) time_both(request->dense, pruned, took);
  esp_bcast(comm, took, sizeof took, 0);
  request->budget->measured = took[0] / took[1];
  esp_log_info("budget: the result is %.3f times as fast, layer by layer", took[0] / took[1]);
  if (request->budget->measured < asked)
    esp_log_warn("--min-speed-up %g: the result is measured at %.3f, its layers' times foretold "
                 "more; ask for more, or give a --sparsity above %.4g",
                 asked, request->budget->measured, request->budget->sparsity);
}

const esp_budget_kind budget_speed = {.name = "min-speed-up",
                                      .noun = "times as fast",
                                      .is_least = true,
                                      .get_asked = get_asked,
                                      .check = check,
                                      .measure = measure};
