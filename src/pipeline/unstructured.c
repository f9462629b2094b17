/* Unstructured masks, for comparison with cuts: weights become zero, and no matrix shrinks. Ranks
 * share the matrices; a mask is one bit a weight, applied when the weight is loaded. */
#include "pipeline.h"

#include "espalier/core/hash.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/select/mask.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

bool is_unstructured(const prune_job *job) {
  return strcmp(job->settings->prune.structure, "unstructured") == 0;
}

static esp_status fail_criterion(const prune_job *job) {
  const char *known = "";
  for (const esp_criterion *const *row = esp_criteria; *row; row++)
    if ((*row)->mask) known = *known ? "wanda and magnitude" : (*row)->name;
  return esp_fail(ESP_USAGE,
                  "--structure unstructured: expected a criterion that scores single weights (%s), "
                  "found '%s'",
                  known, job->criterion->name);
}

esp_status check_structure(const prune_job *job) {
  if (!is_unstructured(job)) return ESP_OK;
  if (!job->criterion->mask) return fail_criterion(job);
  if (strcmp(job->repair->name, "none") != 0)
    return esp_fail(
        ESP_USAGE,
        "--structure unstructured: masked weights are not refitted, but repair is '%s'; "
        "give --repair none",
        job->repair->name);
  if (has_width(job))
    return esp_fail(ESP_USAGE, "--structure unstructured: the width has no weights of its own; "
                               "choose other --sites");
  return ESP_OK;
}

bool needs_stats(const prune_job *job) {
  return !is_unstructured(job) || job->criterion->needs & ESP_NEEDS_MOMENTS;
}

esp_status select_whole(prune_job *job) {
  double *asked = job->sparsity;
  job->sparsity = ESP_NEW(double, job->dense->n_stages + 1);
  for (int i = 0; i <= job->dense->n_stages; i++) job->sparsity[i] = -1.0;
  const esp_status status = select_from_top(job);
  esp_free(&job->sparsity);
  job->sparsity = asked;
  return status;
}

static const esp_slice *find_slice(const esp_slice *slices, int n, int weight) {
  for (int s = 0; s < n; s++)
    if (slices[s].weight == weight) return &slices[s];
  return NULL;
}

static bool is_read(const esp_model *model, int stage, int weight) {
  int n;
  const esp_reader *readers = esp_model_get_readers(model, stage, &n);
  for (int i = 0; i < n; i++)
    if (readers[i].linear.weight == weight) return true;
  return false;
}

/* A consumer reads its own site; a producer the residual stream, where there is one. */
static void add_stage(const prune_job *job, int stage, masked_matrix *self) {
  const esp_stage *site = &job->dense->stages[stage];
  const esp_slice *producer = find_slice(site->producers, site->n_producers, self->weight);
  const esp_slice *consumer = find_slice(site->consumers, site->n_consumers, self->weight);
  if (producer || consumer) self->sparsity = fmax(self->sparsity, job->sparsity[stage]);
  if (producer) self->input_major = producer->axis == 1;
  if (producer && is_read(job->dense, stage, self->weight))
    self->input = esp_stats_name_reader(job->dense, stage);
  if (!consumer) return;
  self->input_major = consumer->axis == 0;
  snprintf(self->input.text, sizeof self->input.text, "%s", site->name);
}

masked_matrix mask_describe(const prune_job *job, int weight) {
  masked_matrix self = {.weight = weight, .sparsity = -1.0};
  if (job->dense->weights[weight].rank == 2)
    for (int i = 0; i < job->dense->n_stages; i++) add_stage(job, i, &self);
  return self;
}

static esp_status write_mask_local(prune_job *job, const masked_matrix *self, const double *norm,
                                   uint8_t *mask) {
  const esp_weight *weight = &job->dense->weights[self->weight];
  ESP_TRY(esp_model_load_local(job->dense, weight->stage));
  job->criterion->mask(&(esp_mask_evidence){.weights = weight->value,
                                            .outputs = weight->shape[self->input_major ? 1 : 0],
                                            .inputs = weight->shape[self->input_major ? 0 : 1],
                                            .input_major = self->input_major,
                                            .norm = norm,
                                            .sparsity = self->sparsity},
                       mask);
  esp_model_unload(job->dense, weight->stage);
  return ESP_OK;
}

/* They are of no use to some rules, and of some inputs not measured. */
bool mask_reads_norms(const prune_job *job, const masked_matrix *self) {
  return job->criterion->needs & ESP_NEEDS_MOMENTS && *self->input.text;
}

static void report_matrix(prune_job *job, const masked_matrix *self, const uint8_t *mask) {
  const esp_weight *weight = &job->dense->weights[self->weight];
  const int64_t count = esp_weight_count(weight), kept = esp_mask_count(mask, count);
  job->masked += count - kept;
  job->checksum = esp_hash(job->checksum, mask, (size_t)esp_mask_bytes(count));
  json_array_append_new(job->matrices,
                        json_pack("{s:s, s:I, s:I, s:s}", "weight", weight->name, "parameters",
                                  (json_int_t)count, "kept", (json_int_t)kept, "input_norms",
                                  mask_reads_norms(job, self) ? self->input.text : "none"));
}

static esp_status make_mask(prune_job *job, const masked_matrix *self, uint8_t *mask) {
  const esp_weight *weight = &job->dense->weights[self->weight];
  const int owner = self->weight % job->comm->size;
  esp_site_stats site = {0};
  if (mask_reads_norms(job, self))
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
  const int64_t bytes = esp_mask_bytes(esp_weight_count(&job->dense->weights[self->weight]));
  uint8_t *mask = ESP_NEW(uint8_t, bytes);
  char name[48];
  bool found;
  job->pruned->weights[self->weight].mask = mask;
  snprintf(name, sizeof name, "masked weight %d", self->weight);
  ESP_TRY(journal_load_unit(job, name, bytes, mask, &found));
  if (!found) ESP_TRY(make_mask(job, self, mask));
  report_matrix(job, self, mask);
  return found ? ESP_OK : journal_save_unit(job, name, bytes, mask);
}

esp_status mask_weights(prune_job *job) {
  job->matrices = json_array();
  for (int w = 0; w < job->dense->n_weights; w++) {
    const masked_matrix self = mask_describe(job, w);
    if (self.sparsity >= 0.0) ESP_TRY(mask_matrix(job, &self));
  }
  esp_log_info("mask: %" PRId64 " weights are zero; shapes and speed stay", job->masked);
  return ESP_OK;
}
