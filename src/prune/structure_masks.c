/* Single weights (--structure unstructured), for comparison with cuts: weights become zero, and no
 * matrix shrinks. Ranks share the matrices; a mask is one bit a weight, applied when the weight is
 * loaded. */
#include "allocate.h"
#include "costs.h"
#include "keep.h"
#include "masks.h"
#include "selected.h"
#include "structure.h"

#include "espalier/core/hash.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/select/mask.h"

#include <inttypes.h>
#include <string.h>

static bool is_asked(const esp_prune_request *request) {
  return strcmp(request->settings->prune.structure, "unstructured") == 0;
}

static esp_status fail_criterion(const esp_prune_request *request) {
  char *known = esp_strdup("");
  for (const esp_criterion *const *row = esp_criteria; *row; row++) {
    if (!(*row)->mask) continue;
    char *longer = esp_format("%s%s%s", known, *known ? " or " : "", (*row)->name);
    esp_free(&known);
    known = longer;
  }
  const esp_status status = esp_fail(
      ESP_USAGE,
      "--structure unstructured: expected a criterion that scores single weights (%s), found '%s'",
      known, request->criterion->name);
  esp_free(&known);
  return status;
}

static esp_status check(const esp_prune_request *request) {
  if (!request->criterion->mask) return fail_criterion(request);
  if (strcmp(request->repair->name, "none") != 0)
    return esp_fail(
        ESP_USAGE,
        "--structure unstructured: masked weights are not refitted, but repair is '%s'; "
        "give --repair none",
        request->repair->name);
  if (request->sparsity[request->dense->n_stages] >= 0.0)
    return esp_fail(ESP_USAGE, "--structure unstructured: the width has no weights of its own; "
                               "choose other --sites");
  if (strcmp(request->allocation->name, "uniform") == 0) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "--structure unstructured: every matrix loses the same fraction of its weights, "
                  "so allocation '%s' has nothing to share out; choose uniform",
                  request->allocation->name);
}

static bool reads_statistics(const esp_prune_request *request) {
  return request->criterion->needs & ESP_NEEDS_MOMENTS;
}

static bool reads_covariance(const esp_prune_request *request) {
  (void)request;
  return false;
}

static const char *reads_stream(const esp_prune_request *request) {
  return request->dense->width.units > 0 ? "a mask by wanda" : NULL;
}

/* The sites that masked matrices read; others read the residual stream. */
static void mark_sites(const esp_prune_request *request, esp_prune_extent *extent) {
  for (int w = 0; w < request->dense->n_weights; w++) {
    const masked_matrix self = mask_describe(request, w);
    if (self.sparsity < 0.0 || !mask_reads_norms(request, &self)) continue;
    for (int i = 0; i < request->dense->n_stages; i++)
      if (strcmp(request->dense->stages[i].name, self.input.text) == 0)
        extent->sites[i] = extent->full[i] = true;
  }
}

/* All units stay: what goes is chosen once the model is there to be masked. */
static esp_status select_all(prune_job *job) {
  const int n = job->request->dense->n_stages;
  double *none = ESP_NEW(double, n);
  for (int i = 0; i < n; i++) none[i] = -1.0;
  const allocate_task task = {.request = job->request,
                              .allocation = job->request->allocation,
                              .sparsity = none,
                              .order = job->ranker.order,
                              .scores = job->ranker.scores};
  const esp_status status = allocate_units(&task, &job->report.allocated);
  for (int i = 0; i < n; i++) {
    keep_all(&job->request->dense->stages[i], i, &job->selection);
    job->ranker.scores[i] = ESP_NEW(double, job->request->dense->stages[i].units);
    selected_chain_checksum(job, i);
  }
  esp_free(&none);
  return status;
}

static esp_status cut_local(prune_job *job) {
  return esp_model_cut(job->request->dense, &job->selection, &job->pruned);
}

static esp_status write_mask_local(prune_job *job, const masked_matrix *self, const double *norm,
                                   uint8_t *mask) {
  esp_model *dense = job->request->dense;
  const esp_weight *weight = &dense->weights[self->weight];
  ESP_TRY(esp_model_load_local(dense, weight->stage));
  job->request->criterion->mask(
      &(esp_mask_evidence){.weights = weight->value,
                           .outputs = weight->shape[self->input_major ? 1 : 0],
                           .inputs = weight->shape[self->input_major ? 0 : 1],
                           .input_major = self->input_major,
                           .norm = norm,
                           .sparsity = self->sparsity},
      mask);
  esp_model_unload(dense, weight->stage);
  return ESP_OK;
}

static void report_matrix(prune_job *job, const masked_matrix *self, const uint8_t *mask) {
  const int64_t count = esp_weight_count(&job->request->dense->weights[self->weight]);
  const int64_t kept = esp_mask_count(mask, count);
  esp_mask_report *row = &job->report.masks.rows[job->report.masks.n++];
  *row = (esp_mask_report){.weight = self->weight, .count = count, .kept = kept};
  if (mask_reads_norms(job->request, self)) row->input = self->input;
  job->report.masks.masked += count - kept;
  job->report.checksum = esp_hash(job->report.checksum, mask, (size_t)esp_mask_bytes(count));
}

static esp_status make_mask(prune_job *job, const masked_matrix *self, uint8_t *mask) {
  const esp_weight *weight = &job->request->dense->weights[self->weight];
  const int owner = self->weight % job->comm->size;
  esp_site_stats site = {0};
  if (mask_reads_norms(job->request, self))
    ESP_TRY(esp_stats_load_site(job->stats, self->input.text,
                                weight->shape[self->input_major ? 0 : 1], 0, &site));
  esp_status status = ESP_OK;
  if (job->comm->rank == owner) status = write_mask_local(job, self, site.norm, mask);
  status = esp_agree(job->comm, status);
  if (status == ESP_OK) esp_bcast(job->comm, mask, esp_mask_bytes(esp_weight_count(weight)), owner);
  esp_site_stats_clear(&site);
  return status;
}

/* Unless an interrupted run has. */
static esp_status mask_matrix(prune_job *job, const masked_matrix *self) {
  const int64_t bytes =
      esp_mask_bytes(esp_weight_count(&job->request->dense->weights[self->weight]));
  uint8_t *mask = ESP_NEW(uint8_t, bytes);
  bool found;
  job->pruned->weights[self->weight].mask = mask;
  const unit_name name = journal_name_unit_local(&job->journal, "masked weight %d", self->weight);
  ESP_TRY(journal_load_unit(&job->journal, name.text, bytes, mask, &found));
  if (!found) ESP_TRY(make_mask(job, self, mask));
  report_matrix(job, self, mask);
  return found ? ESP_OK : journal_save_unit(&job->journal, name.text, bytes, mask);
}

/* The repair, if any, leaves the weights as they are. */
static esp_status mask_weights(prune_job *job, esp_repair_job *task) {
  ESP_TRY(job->request->repair->apply(task));
  job->report.masks.rows = ESP_NEW(esp_mask_report, job->request->dense->n_weights);
  for (int w = 0; w < job->request->dense->n_weights; w++) {
    const masked_matrix self = mask_describe(job->request, w);
    if (self.sparsity >= 0.0) ESP_TRY(mask_matrix(job, &self));
  }
  esp_log_info("mask: %" PRId64 " weights are zero; shapes and speed stay",
               job->report.masks.masked);
  return ESP_OK;
}

static esp_status write(const prune_job *job, esp_h5 *file) {
  for (int i = 0; i < job->request->dense->n_stages; i++) ESP_TRY(selected_write(job, i, file));
  return ESP_OK;
}

/* Masks shrink nothing, but what has one is not read in place. */
static esp_status sketch_cut(esp_prune_sketch *sketch) {
  const esp_model *dense = sketch->request->dense;
  for (int i = 0; i < dense->n_stages; i++) keep_all(&dense->stages[i], i, &sketch->selection);
  ESP_TRY(esp_model_cut(dense, &sketch->selection, &sketch->pruned));
  for (int w = 0; w < dense->n_weights; w++)
    if (mask_describe(sketch->request, w).sparsity >= 0.0)
      sketch->pruned->weights[w].mask =
          ESP_NEW(uint8_t, esp_mask_bytes(esp_weight_count(&dense->weights[w])));
  return ESP_OK;
}

const esp_prune_structure prune_structure_masks = {
    .name = "masks",
    .summary = "single weights; nothing shrinks",
    .is_asked = is_asked,
    .check = check,
    .reads = {.statistics = reads_statistics,
              .covariance = reads_covariance,
              .stream = reads_stream,
              .sites = mark_sites},
    .select = select_all,
    .cut_local = cut_local,
    .repair = mask_weights,
    .write = write,
    .sketch = {.cut = sketch_cut,
               .add_repair_cost = add_repair_cost_of_masks,
               .count_file_bytes = file_bytes_of_units}};
