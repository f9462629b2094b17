/* --allocation: how many units the stages keep. */
#include "allocate.h"

#include "budgets.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

/* Heads come in whole groups' shares; --multiple-of and --min-keep are for single neurons. */
static esp_budget_rule make_rule(const esp_prune_request *request, const esp_stage *stage,
                                 double sparsity) {
  const int64_t n_groups = stage->per_group > 1 ? stage->units / stage->per_group : 1;
  const bool is_neuron = stage->width == 1;
  return (esp_budget_rule){
      .sparsity = sparsity,
      .multiple_of = is_neuron ? request_find_multiple(request, stage->units) : n_groups,
      .min_keep = is_neuron ? request->settings->allocation.min_keep : n_groups};
}

static int64_t sum_widths(const esp_slice *slices, int n, int weight, int axis) {
  int64_t sum = 0;
  for (int s = 0; s < n; s++)
    if (slices[s].weight == weight && slices[s].axis == axis) sum += slices[s].width;
  return sum;
}

/* Which stage that is pruned shrinks an axis of a weight, -1: none; and what a unit takes of it. */
static int find_site(const allocate_task *task, int weight, int axis, int64_t *per_unit) {
  for (int i = 0; i < task->request->dense->n_stages; i++) {
    const esp_stage *stage = &task->request->dense->stages[i];
    *per_unit = sum_widths(stage->producers, stage->n_producers, weight, axis) +
                sum_widths(stage->consumers, stage->n_consumers, weight, axis);
    if (*per_unit > 0 && task->sparsity[i] >= 0.0) return i;
  }
  *per_unit = 0;
  return -1;
}

/* A sub-layer that only adds to the residual stream can be done without. */
static bool may_vanish(const allocate_task *task, int stage) {
  return task->request->dense->stages[stage].is_residual && request_is_free(task->request, stage) &&
         may_empty_stages(task->request, task->is_in_nats);
}

/* Which stage takes an axis of a weight with its last unit, -1: none. */
static int find_last_of(const allocate_task *task, int weight, int axis) {
  for (int i = 0; i < task->request->dense->n_stages; i++) {
    const esp_stage *stage = &task->request->dense->stages[i];
    if (may_vanish(task, i) && sum_widths(stage->shared, stage->n_shared, weight, axis) > 0)
      return i;
  }
  return -1;
}

/* False where no stage shrinks it, or it is no matrix. */
static bool describe_matrix(const allocate_task *task, int weight, esp_allocation_matrix *matrix) {
  const esp_model *dense = task->request->dense;
  const esp_weight *self = &dense->weights[weight];
  if (self->rank != 2) return false;
  for (int axis = 0; axis < 2; axis++) {
    const int site = find_site(task, weight, axis, &matrix->per_unit[axis]);
    const int64_t units = site < 0 ? 0 : dense->stages[site].units;
    matrix->site[axis] = site < 0 ? find_last_of(task, weight, axis) : site;
    matrix->fixed[axis] = self->shape[axis] - units * matrix->per_unit[axis];
  }
  return matrix->site[0] >= 0 || matrix->site[1] >= 0;
}

static esp_allocation_matrix *list_matrices(const allocate_task *task, int *n) {
  const int n_weights = task->request->dense->n_weights;
  esp_allocation_matrix *list = ESP_NEW(esp_allocation_matrix, n_weights);
  *n = 0;
  for (int w = 0; w < n_weights; w++) *n += describe_matrix(task, w, &list[*n]);
  return list;
}

/* Stages that are not pruned lose nothing. */
static esp_allocation_site *list_sites(const allocate_task *task) {
  const esp_model *dense = task->request->dense;
  esp_allocation_site *list = ESP_NEW(esp_allocation_site, dense->n_stages);
  for (int i = 0; i < dense->n_stages; i++) {
    const esp_stage *stage = &dense->stages[i];
    list[i] =
        (esp_allocation_site){.name = stage->name,
                              .kind = stage->kind,
                              .units = stage->units,
                              .per_group = stage->per_group,
                              .is_fixed = !request_is_free(task->request, i),
                              .rule = make_rule(task->request, stage, fmax(task->sparsity[i], 0.0)),
                              .order = task->order[i],
                              .score = task->scores[i],
                              .may_vanish = may_vanish(task, i),
                              .whole = task->whole ? task->whole[i] : -1.0};
  }
  return list;
}

static void tell_emptied(const esp_allocation_job *done) {
  for (int i = 0; i < done->n_sites; i++)
    if (done->sites[i].n_kept == 0 && done->sites[i].units > 0)
      esp_log_info("allocation: %s goes whole", done->sites[i].name);
}

static const char *name_price(bool is_in_nats) {
  return is_in_nats ? "nats a parameter" : "parts of a site a parameter";
}

static void fill_report(const allocate_task *task, const esp_allocation_job *done,
                        esp_allocation_report *report) {
  report->name = task->allocation->name;
  report->asked = done->is_enough ? done->got : task->request->asked;
  report->all = done->all;
  report->got = done->got;
  report->threshold = done->threshold;
  report->is_by_price = task->allocation->is_by_price;
  report->is_in_nats = task->is_in_nats;
  report->may_empty = may_empty_stages(task->request, task->is_in_nats);
  report->n_kept = ESP_NEW(int64_t, done->n_sites);
  for (int i = 0; i < done->n_sites; i++) report->n_kept[i] = done->sites[i].n_kept;
}

static void tell_price(const esp_allocation_job *done, const esp_allocation_report *report) {
  if (!report->is_by_price) return;
  esp_log_info("allocation: %.4f of the chosen matrices' parameters go, at a price of %g %s",
               report->got, report->threshold, name_price(report->is_in_nats));
  if (report->may_empty) tell_emptied(done);
}

/* Scores without a common unit; a kind with too few units to come near, or too many that must
 * stay. */
void allocate_warn(const allocate_task *task, const esp_allocation_report *report) {
  const double far = 0.02;
  if (report->is_by_price && !report->is_in_nats)
    esp_log_warn("allocation %s: without --metric fisher the scores of sites have no common unit, "
                 "and uniform is often better (docs/results.md)",
                 report->name);
  if (!task->request->budget && task->allocation->needs_scores &&
      fabs(report->got - report->asked) > far)
    esp_log_warn("allocation %s: %.4f of the chosen matrices' parameters go, asked were %g; units "
                 "go in whole steps, and at least one stays",
                 report->name, report->got, report->asked);
}

esp_status allocate_units(const allocate_task *task, esp_allocation_report *report) {
  const bool searches = task->request->budget && task->allocation->needs_scores;
  esp_allocation_job job = {.sparsity = task->request->asked,
                            .max_sparsity = find_cap(task->request, task->is_in_nats),
                            .is_in_nats = task->is_in_nats,
                            .n_sites = task->request->dense->n_stages,
                            .sites = list_sites(task),
                            .trial = task->trial,
                            .context = task->context,
                            .is_enough = searches ? budget_is_enough : NULL,
                            .budget = task->request};
  esp_allocation_matrix *matrices = list_matrices(task, &job.n_matrices);
  job.matrices = matrices;
  const esp_status status = task->allocation->apply(&job);
  fill_report(task, &job, report);
  if (status == ESP_OK) tell_price(&job, report);
  esp_free(&matrices);
  esp_free(&job.sites);
  return status;
}

void allocation_report_clear(esp_allocation_report *report) {
  for (int i = 0; i < report->n_trials; i++) esp_free(&report->trials[i].kept);
  esp_free(&report->trials);
  esp_free(&report->n_kept);
  *report = (esp_allocation_report){0};
}

void allocate_uniformly(const esp_prune_request *request, int64_t *n_kept) {
  for (int i = 0; i < request->dense->n_stages; i++) {
    const esp_stage *stage = &request->dense->stages[i];
    const esp_budget_rule rule = make_rule(request, stage, fmax(request->sparsity[i], 0.0));
    n_kept[i] = esp_budget_uniform(&rule, stage->units);
  }
}
