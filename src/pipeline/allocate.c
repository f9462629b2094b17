/* --allocation: how many units the stages keep. The width has a sparsity of its own. */
#include "pipeline.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

/* Heads come in whole groups' shares; --multiple-of and --min-keep are for single neurons. */
static esp_budget_rule make_rule(const prune_job *job, const esp_stage *stage, double sparsity) {
  const int64_t n_groups = stage->per_group > 1 ? stage->units / stage->per_group : 1;
  const bool is_neuron = stage->width == 1;
  return (esp_budget_rule){.sparsity = sparsity,
                           .multiple_of =
                               is_neuron ? job->settings->allocation.multiple_of : n_groups,
                           .min_keep = is_neuron ? job->settings->allocation.min_keep : n_groups};
}

static int64_t sum_widths(const esp_slice *slices, int n, int weight, int axis) {
  int64_t sum = 0;
  for (int s = 0; s < n; s++)
    if (slices[s].weight == weight && slices[s].axis == axis) sum += slices[s].width;
  return sum;
}

/* Chosen, without a sparsity of its own. */
static bool is_free(const prune_job *job, int stage) {
  return job->sparsity[stage] >= 0.0 && !job->is_fixed[stage];
}

/* Which chosen stage shrinks an axis of a weight, -1: none; and what a unit takes of it. */
static int find_site(const prune_job *job, int weight, int axis, int64_t *per_unit) {
  for (int i = 0; i < job->dense->n_stages; i++) {
    const esp_stage *stage = &job->dense->stages[i];
    *per_unit = sum_widths(stage->producers, stage->n_producers, weight, axis) +
                sum_widths(stage->consumers, stage->n_consumers, weight, axis);
    if (*per_unit > 0 && job->sparsity[i] >= 0.0) return i;
  }
  *per_unit = 0;
  return -1;
}

/* Prices in nats say themselves when a site has given enough; others are too crude for that
 * (docs/results.md). */
static double find_cap(const prune_job *job) {
  const double crude = 0.8;
  if (job->settings->allocation.max_sparsity > 0.0) return job->settings->allocation.max_sparsity;
  return uses_fisher(job) || !job->allocation->is_by_price ? 1.0 : crude;
}

bool can_empty_stages(const prune_job *job) {
  return job->allocation->is_by_price && job->settings->allocation.min_keep == 0 &&
         find_cap(job) >= 1.0;
}

/* A sub-layer that only adds to the residual stream can be done without. */
static bool may_vanish(const prune_job *job, int stage) {
  return job->dense->stages[stage].is_residual && is_free(job, stage) && can_empty_stages(job);
}

/* Which stage takes an axis of a weight with its last unit, -1: none. */
static int find_last_of(const prune_job *job, int weight, int axis) {
  for (int i = 0; i < job->dense->n_stages; i++) {
    const esp_stage *stage = &job->dense->stages[i];
    if (may_vanish(job, i) && sum_widths(stage->shared, stage->n_shared, weight, axis) > 0)
      return i;
  }
  return -1;
}

/* False where no chosen stage shrinks it, or it is no matrix. */
static bool describe_matrix(const prune_job *job, int weight, esp_allocation_matrix *matrix) {
  const esp_weight *self = &job->dense->weights[weight];
  if (self->rank != 2) return false;
  for (int axis = 0; axis < 2; axis++) {
    const int site = find_site(job, weight, axis, &matrix->per_unit[axis]);
    const int64_t units = site < 0 ? 0 : job->dense->stages[site].units;
    matrix->site[axis] = site < 0 ? find_last_of(job, weight, axis) : site;
    matrix->fixed[axis] = self->shape[axis] - units * matrix->per_unit[axis];
  }
  return matrix->site[0] >= 0 || matrix->site[1] >= 0;
}

static esp_allocation_matrix *list_matrices(const prune_job *job, int *n) {
  esp_allocation_matrix *list = ESP_NEW(esp_allocation_matrix, job->dense->n_weights);
  *n = 0;
  for (int w = 0; w < job->dense->n_weights; w++) *n += describe_matrix(job, w, &list[*n]);
  return list;
}

/* Stages that were not chosen lose nothing. */
static esp_allocation_site *list_sites(const prune_job *job) {
  esp_allocation_site *list = ESP_NEW(esp_allocation_site, job->dense->n_stages);
  for (int i = 0; i < job->dense->n_stages; i++) {
    const esp_stage *stage = &job->dense->stages[i];
    const bool is_chosen = job->sparsity[i] >= 0.0;
    list[i] = (esp_allocation_site){.name = stage->name,
                                    .kind = stage->kind,
                                    .units = stage->units,
                                    .per_group = stage->per_group,
                                    .is_fixed = !is_free(job, i),
                                    .rule = make_rule(job, stage, is_chosen ? job->sparsity[i] : 0),
                                    .order = job->order[i],
                                    .score = job->scores[i],
                                    .may_vanish = may_vanish(job, i),
                                    .whole = job->whole ? job->whole[i] : -1.0};
  }
  return list;
}

/* Sites of which nothing is left, in the report and the log. */
static void report_emptied(prune_job *job, const esp_allocation_job *done) {
  json_t *names = json_array();
  for (int i = 0; i < done->n_sites; i++) {
    const esp_allocation_site *site = &done->sites[i];
    if (site->n_kept > 0 || site->units == 0) continue;
    json_array_append_new(names, json_string(site->name));
    esp_log_info("allocation: %s goes whole", site->name);
  }
  json_object_set_new(job->allocated, "removed_whole", names);
}

static void report_allocation(prune_job *job, const esp_allocation_job *done) {
  job->allocated =
      json_pack("{s:s, s:f, s:f}", "name", job->allocation->name, "sparsity_asked",
                job->settings->allocation.sparsity, "sparsity_chosen_matrices", done->got);
  if (!job->allocation->is_by_price) return;
  json_object_set_new(job->allocated, "price_threshold", json_real(done->threshold));
  json_object_set_new(
      job->allocated, "price_unit",
      json_string(done->is_in_nats ? "nats a parameter" : "parts of a site a parameter"));
  esp_log_info("allocation: %.4f of the chosen matrices' parameters go, at a price of %g %s",
               done->got, done->threshold,
               done->is_in_nats ? "nats a parameter" : "parts of a site a parameter");
  if (can_empty_stages(job)) report_emptied(job, done);
}

/* Scores without a common unit; a kind with too few units to come near, or too many that must
 * stay. */
static void warn_of_allocation(const prune_job *job) {
  const double got = json_real_value(json_object_get(job->allocated, "sparsity_chosen_matrices"));
  const double far = 0.02, asked = job->settings->allocation.sparsity;
  if (job->allocation->is_by_price && !uses_fisher(job))
    esp_log_warn("allocation %s: without --metric fisher the scores of sites have no common unit, "
                 "and uniform is often better (docs/results.md)",
                 job->allocation->name);
  if (job->allocation->needs_scores && fabs(got - asked) > far)
    esp_log_warn("allocation %s: %.4f of the chosen matrices' parameters go, asked were %g; units "
                 "go in whole steps, and at least one stays",
                 job->allocation->name, got, asked);
}

/* Another free stage of the kind is of another size, as an earlier pruning may have left it. */
static bool has_other_size(const prune_job *job, const esp_stage *stage) {
  for (int i = 0; i < job->dense->n_stages; i++) {
    const esp_stage *other = &job->dense->stages[i];
    if (is_free(job, i) && other->units != stage->units && strcmp(other->kind, stage->kind) == 0)
      return true;
  }
  return false;
}

/* Whether --sparsity is to be shared out between kinds of sites, each of one size. */
static bool has_kinds_to_share(const prune_job *job) {
  const char *kind = NULL;
  bool is_shared = false;
  for (int i = 0; i < job->dense->n_stages; i++) {
    const esp_stage *stage = &job->dense->stages[i];
    if (!is_free(job, i)) continue;
    if (has_other_size(job, stage)) return false;
    is_shared = is_shared || (kind && strcmp(kind, stage->kind) != 0);
    kind = stage->kind;
  }
  return is_shared;
}

static bool is_auto(const prune_job *job) {
  return strcmp(job->settings->allocation.name, ALLOCATION_AUTO) == 0;
}

esp_status find_allocation(prune_job *job) {
  return esp_allocation_find(is_auto(job) ? "uniform" : job->settings->allocation.name,
                             &job->allocation);
}

bool may_try_counts(const prune_job *job) {
  if (job->settings->allocation.trial_tokens == 0 || drops_layers(job) || is_unstructured(job) ||
      !has_kinds_to_share(job))
    return false;
  return job->allocation->needs_trial || (is_auto(job) && job->criterion->needs & ESP_NEEDS_METRIC);
}

bool wants_samples_to_try(const prune_job *job) {
  return may_try_counts(job) && job->stats &&
         json_is_true(json_object_get(job->stats->meta, "covariance"));
}

/* Samples whose loss can be measured. */
static bool can_try_counts(const prune_job *job) {
  if (!wants_samples_to_try(job) || !job->data || job->data->kind != ESP_DATA_TOKENS) return false;
  if (job->dense->task == ESP_TASK_EMBED || job->data->is_made) return false;
  return job->dense->task != ESP_TASK_CLASSIFY || job->data->classes > 0;
}

esp_status check_allocation(const prune_job *job) {
  if (!job->allocation->needs_trial || may_try_counts(job)) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "--allocation %s: expected units to remove of at least two kinds of sites that "
                  "share --sparsity, the sites of each of one size, and --trial-tokens above 0; "
                  "give them, or --allocation uniform",
                  job->allocation->name);
}

esp_status choose_allocation(prune_job *job) {
  const bool can_try = can_try_counts(job);
  if (is_auto(job)) return esp_allocation_find(can_try ? "balanced" : "uniform", &job->allocation);
  if (!job->allocation->needs_trial || can_try) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "--allocation %s: expected calibration sequences (with labels, for a "
                  "classifier) and their covariances, to try counts on; collect them, or choose "
                  "--allocation uniform",
                  job->allocation->name);
}

/* Only allocations that need trials call them. */
static esp_status apply(prune_job *job, esp_allocation_job *self) {
  trial_context context = {.job = job, .sites = self->sites, .report = json_array()};
  self->trial = try_counts;
  self->context = &context;
  const esp_status status = job->allocation->apply(self);
  report_allocation(job, self);
  if (json_array_size(context.report) > 0)
    json_object_set(job->allocated, "trials", context.report);
  json_decref(context.report);
  return status;
}
esp_status allocate_units(prune_job *job) {
  esp_allocation_job self = {.sparsity = job->settings->allocation.sparsity,
                             .max_sparsity = find_cap(job),
                             .is_in_nats = uses_fisher(job),
                             .n_sites = job->dense->n_stages,
                             .sites = list_sites(job)};
  esp_allocation_matrix *matrices = list_matrices(job, &self.n_matrices);
  self.matrices = matrices;
  const esp_status status = apply(job, &self);
  job->n_keep = ESP_NEW(int64_t, self.n_sites);
  for (int i = 0; i < self.n_sites; i++) job->n_keep[i] = self.sites[i].n_kept;
  if (status == ESP_OK) warn_of_allocation(job);
  esp_free(&matrices);
  esp_free(&self.sites);
  return status;
}
