/* Units: neurons and heads. Selection goes from the top [Fan]: the site below the softmax layer
 * first, each site against the units that the one above has kept. */
#include "allocation_choice.h"
#include "budgets.h"
#include "costs.h"
#include "evidence.h"
#include "keep.h"
#include "selected.h"
#include "sketch_units.h"
#include "stability.h"
#include "structure.h"
#include "trial.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/model/opening.h"

#include <math.h>
#include <string.h>

static bool is_asked(const esp_prune_request *request) {
  return !prune_structure_layers.is_asked(request) && !prune_structure_masks.is_asked(request);
}

static bool is_named(const esp_stage *stage, const char *item) {
  return strcmp(stage->kind, item) == 0 || strcmp(stage->name, item) == 0;
}

static esp_status take_site(esp_prune_request *request, const site_item *item, bool *taken) {
  for (int i = 0; i < request->dense->n_stages; i++)
    if (is_named(&request->dense->stages[i], item->name)) {
      request->sparsity[i] = item->sparsity;
      request->is_fixed[i] = item->is_own;
      *taken = true;
    }
  return ESP_OK;
}

static void list_sites(const esp_model *dense, const char **names, int *n) {
  const int first = *n;
  for (int i = 0; i < dense->n_stages; i++) {
    bool is_new = true;
    for (int k = first; k < *n; k++) is_new &= strcmp(names[k], dense->stages[i].kind) != 0;
    if (is_new) names[(*n)++] = dense->stages[i].kind;
  }
}

/* Heads stay by default where transformers has no place for fewer of them; masks take none away,
 * and allocations that share out between heads and neurons are asked for by name. */
static bool leaves_heads(const esp_prune_request *request) {
  return esp_model_needs_all_heads(request->dense) && !request->allocation->needs_scores &&
         !prune_structure_masks.is_asked(request);
}

static esp_status take_default(esp_prune_request *request) {
  request->leaves_heads = leaves_heads(request);
  for (int i = 0; i < request->dense->n_stages; i++)
    if (!request->leaves_heads || strcmp(request->dense->stages[i].kind, "attention") != 0)
      request->sparsity[i] = request->asked;
  return ESP_OK;
}

static esp_status check(const esp_prune_request *request) {
  const unsigned layers = ESP_NEEDS_LAYER_INFORMATION | ESP_NEEDS_LAYER_COSINE;
  if (!(request->criterion->needs & layers)) return ESP_OK;
  return esp_fail(ESP_USAGE, "criterion '%s' ranks whole layers; give --sites block",
                  request->criterion->name);
}

static void share(esp_prune_request *request, double sparsity) {
  for (int i = 0; i < request->dense->n_stages; i++)
    if (request_is_free(request, i)) request->sparsity[i] = sparsity;
}

static esp_status resize(const esp_prune_request *request, esp_model **resized) {
  const int n = request->dense->n_stages;
  int64_t *units = ESP_NEW(int64_t, n + 1);
  allocate_uniformly(request, units);
  units[n] = request_count_width(request);
  const esp_status status = esp_model_resize(request->dense, units, resized);
  esp_free(&units);
  return status;
}

/* Given ones are for the report where nothing else reads them. */
static bool reads_statistics(const esp_prune_request *request) {
  return request->settings->prune.stats || allocation_may_try(request) ||
         esp_prune_needs_statistics(request->criterion, request->repair);
}

static bool reads_covariance(const esp_prune_request *request) {
  return request->repair->needs_covariance || reads_activation_covariance(request);
}

/* For information, where there are codes. */
static const char *reads_stream(const esp_prune_request *request) {
  const esp_prune_options *options = &request->settings->prune;
  const bool has_codes = options->stats || options->keep_stats || request->extent.codes;
  return has_codes && uses_own_output(request) ? "--upper output" : NULL;
}

/* Codes of the site that reads a stage next, for information: find_next (information.c) before
 * anything is selected, with all that may be next once sub-layers have gone whole. */
static void mark_above(const esp_prune_request *request, int stage, esp_prune_extent *extent) {
  const bool may_empty = may_empty_stages(request, metric_is_wanted(request));
  for (int above = stage + 1; above < request->dense->n_stages; above++) {
    if (request->dense->stages[above].units == 0) continue;
    extent->sites[above] = true;
    if (!may_empty || request->sparsity[above] < 0.0) return;
  }
  extent->logits = true;
}

static void mark_sites(const esp_prune_request *request, esp_prune_extent *extent) {
  for (int i = 0; i < request->dense->n_stages; i++) {
    if (request->sparsity[i] < 0.0) continue;
    extent->sites[i] = extent->full[i] = true;
    if (extent->codes && !uses_own_output(request)) mark_above(request, i, extent);
  }
}

/* Mean information of a unit with the units above. */
static double unit_information(const site_information *self, int64_t width, int64_t unit) {
  double sum = 0.0;
  for (int64_t i = unit * width * self->n_upper; i < (unit + 1) * width * self->n_upper; i++)
    sum += self->values[i];
  return sum / (double)self->n_upper;
}

static void report_information(prune_job *job, int stage) {
  const esp_stage *site = &job->request->dense->stages[stage];
  const site_information *information = &job->ranker.information;
  esp_site_information *report = &job->report.sites[stage].information;
  double all = 0.0, kept = 0.0;
  *report = (esp_site_information){0};
  for (int64_t u = 0; u < site->units; u++) all += unit_information(information, site->width, u);
  for (int64_t k = 0; k < job->selection.n_kept[stage]; k++)
    kept += unit_information(information, site->width, job->selection.kept[stage][k]);
  for (int i = 0; i < NOISE_UNITS; i++) {
    report->null_level += information->null_level[i] / NOISE_UNITS;
    report->null_level_max = fmax(report->null_level_max, information->null_level[i]);
  }
  report->mean = all / (double)site->units;
  report->kept = all > 0.0 ? kept / all : 1.0;
  job->report.sites[stage].has_information = true;
}

static bool has_codes(const prune_job *job) {
  return job->stats && job->stats->about.has_codes;
}

static esp_status select_site(prune_job *job, int stage) {
  ranker *ranked = &job->ranker;
  if (!ranked->order[stage]) ESP_TRY(ranker_rank(ranked, stage));
  if (has_codes(job)) {
    ranker_begin_phase(ranked, "joint counts");
    ESP_TRY(information_count(ranked, stage));
  }
  keep_first(&job->request->dense->stages[stage], stage, ranked->order[stage],
             job->report.allocated.n_kept[stage], &job->selection);
  if (has_codes(job)) report_information(job, stage);
  selected_report(job, stage);
  information_drop(ranked);
  return ESP_OK;
}

/* Unless an interrupted run has. */
static esp_status select_unless_done(prune_job *job, int stage) {
  bool found;
  ESP_TRY(selected_load(job, stage, &found));
  if (found) return ESP_OK;
  ESP_TRY(select_site(job, stage));
  return selected_save(job, stage);
}

/* Rank all sites as if all stayed above them. */
static esp_status price_sites(prune_job *job) {
  ranker *ranked = &job->ranker;
  for (int stage = job->request->dense->n_stages - 1; stage >= 0; stage--) {
    if (ranked->is_asked[stage] && !ranked->order[stage]) ESP_TRY(ranker_rank(ranked, stage));
    information_drop(ranked);
  }
  return ESP_OK;
}

/* Sites whose order depends on what is kept above are ranked again. */
static void forget_prices(prune_job *job) {
  for (int stage = 0; stage < job->request->dense->n_stages; stage++)
    if (evidence_depends_on_selection(job->request, &job->selection, stage))
      esp_free(&job->ranker.order[stage]);
}

/* Whether what was found by scores or trials, under their caps, is enough. */
static esp_status check_budget(const prune_job *job) {
  const int n = job->request->dense->n_stages;
  esp_model *shape;
  if (!job->request->budget) return ESP_OK;
  int64_t *units = ESP_NEW(int64_t, n + 1);
  memcpy(units, job->report.allocated.n_kept, (size_t)n * sizeof *units);
  units[n] = request_count_width(job->request);
  esp_status status = esp_model_resize(job->request->dense, units, &shape);
  if (status == ESP_OK) {
    status = budget_check(job->request, shape);
    esp_model_free(&shape);
  }
  esp_free(&units);
  return status;
}

static esp_status allocate(prune_job *job) {
  trial_context trial = {&job->ranker, job->data, &job->shard, &job->report.allocated};
  const allocate_task task = {.request = job->request,
                              .allocation = job->allocation,
                              .sparsity = job->request->sparsity,
                              .is_in_nats = metric_is_fisher(job->request, job->stats),
                              .order = job->ranker.order,
                              .scores = job->ranker.scores,
                              .whole = job->ranker.whole,
                              .trial = job->has_shard ? trial_run : NULL,
                              .context = &trial};
  allocation_report_clear(&job->report.allocated);
  ESP_TRY(allocate_units(&task, &job->report.allocated));
  ESP_TRY(check_budget(job));
  allocate_warn(&task, &job->report.allocated);
  return ESP_OK;
}

/* A site that is not pruned keeps all its units. */
static void keep_whole(prune_job *job, int stage) {
  const esp_stage *site = &job->request->dense->stages[stage];
  keep_all(site, stage, &job->selection);
  job->ranker.scores[stage] = ESP_NEW(double, site->units);
}

/* The criterion does well without codes, and nobody else has asked for them. */
static void note_information(prune_job *job) {
  char **note = &job->report.information_note;
  if (has_codes(job) || *note) return;
  *note = esp_format("criterion '%s' reads no codes, so none were collected; --keep-stats, or "
                     "statistics from espalier collect, have them",
                     job->request->criterion->name);
  esp_log_info("information not measured: %s", *note);
}

static esp_status select_units(prune_job *job) {
  const int n = job->request->dense->n_stages;
  note_information(job);
  for (int stage = 0; stage < n; stage++)
    job->ranker.is_asked[stage] = job->request->sparsity[stage] >= 0.0;
  if (job->allocation->needs_scores) ESP_TRY(price_sites(job));
  ESP_TRY(allocate(job));
  forget_prices(job);
  for (int stage = n - 1; stage >= 0; stage--)
    if (job->ranker.is_asked[stage])
      ESP_TRY(select_unless_done(job, stage));
    else
      keep_whole(job, stage);
  for (int stage = 0; stage < n; stage++) selected_chain_checksum(job, stage);
  return ESP_OK;
}

static esp_status cut_local(prune_job *job) {
  return esp_model_cut(job->request->dense, &job->selection, &job->pruned);
}

static esp_status repair(prune_job *job, esp_repair_job *task) {
  return job->request->repair->apply(task);
}

static esp_status write(const prune_job *job, esp_h5 *file) {
  for (int i = 0; i < job->request->dense->n_stages; i++) ESP_TRY(selected_write(job, i, file));
  return ESP_OK;
}

const esp_prune_structure prune_structure_units = {
    .name = "units",
    .summary = "neurons and heads, site by site",
    .is_asked = is_asked,
    .take_site = take_site,
    .list_sites = list_sites,
    .take_default = take_default,
    .check = check,
    .share = share,
    .resize = resize,
    .reads = {.statistics = reads_statistics,
              .covariance = reads_covariance,
              .stream = reads_stream,
              .sites = mark_sites},
    .select = select_units,
    .measure_stability = stability_measure,
    .cut_local = cut_local,
    .repair = repair,
    .write = write,
    .shares_sparsity = true,
    .sketch = {.fill_selection = units_sketch_selection,
               .cut = units_sketch_cut,
               .add_select_cost = add_select_cost_of_units,
               .add_ways = add_ways_of_units,
               .count_file_bytes = file_bytes_of_units}};
