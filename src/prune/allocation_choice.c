#include "allocation_choice.h"

#include "structure.h"

#include "espalier/model/forward.h"

#include <string.h>

/* Another free stage of the kind is of another size, as an earlier pruning may have left it. */
static bool has_other_size(const esp_prune_request *request, const esp_stage *stage) {
  for (int i = 0; i < request->dense->n_stages; i++) {
    const esp_stage *other = &request->dense->stages[i];
    if (request_is_free(request, i) && other->units != stage->units &&
        strcmp(other->kind, stage->kind) == 0)
      return true;
  }
  return false;
}

/* Whether --sparsity is to be shared out between kinds of sites, each of one size. */
static bool has_kinds_to_share(const esp_prune_request *request) {
  const char *kind = NULL;
  bool is_shared = false;
  for (int i = 0; i < request->dense->n_stages; i++) {
    const esp_stage *stage = &request->dense->stages[i];
    if (!request_is_free(request, i)) continue;
    if (has_other_size(request, stage)) return false;
    is_shared = is_shared || (kind && strcmp(kind, stage->kind) != 0);
    kind = stage->kind;
  }
  return is_shared;
}

static bool is_auto(const esp_prune_request *request) {
  return strcmp(request->settings->allocation.name, ESP_ALLOCATION_AUTO) == 0;
}

bool allocation_may_try(const esp_prune_request *request) {
  if (request->settings->allocation.trial_tokens == 0 || esp_prune_has_rounds(request) ||
      !structures_share_sparsity(request) || !has_kinds_to_share(request))
    return false;
  return request->allocation->needs_trial ||
         (is_auto(request) && request->criterion->needs & ESP_NEEDS_METRIC);
}

bool allocation_wants_samples(const prune_job *job) {
  return allocation_may_try(job->request) && job->stats && job->stats->about.has_covariance;
}

/* Samples whose loss can be measured. */
static bool can_try(const prune_job *job) {
  const esp_model *dense = job->request->dense;
  if (!allocation_wants_samples(job) || !job->data || job->data->kind != ESP_DATA_TOKENS)
    return false;
  if (dense->task == ESP_TASK_EMBED || job->data->is_made) return false;
  return esp_model_has_targets(dense, job->data);
}

static esp_status fail_untried(const esp_prune_request *request) {
  return esp_fail(ESP_USAGE,
                  "--allocation %s: expected calibration sequences (with labels, for a "
                  "classifier) and their covariances, to try counts on; collect them, or choose "
                  "--allocation uniform",
                  request->allocation->name);
}

esp_status allocation_check(const esp_prune_request *request) {
  const esp_prune_settings *settings = request->settings;
  if (!request->allocation->needs_trial) return ESP_OK;
  if (!settings->prune.stats && esp_dataset_is_made(settings->data.data))
    return fail_untried(request);
  if (allocation_may_try(request)) return ESP_OK;
  if (esp_prune_has_rounds(request))
    return esp_fail(ESP_USAGE,
                    "--allocation %s tries counts on calibration sequences, but criterion '%s' "
                    "collects without any; give --stats, or --allocation uniform",
                    request->allocation->name, request->criterion->name);
  return esp_fail(ESP_USAGE,
                  "--allocation %s: expected units to remove of at least two kinds of sites that "
                  "share --sparsity, the sites of each of one size, and --trial-tokens above 0; "
                  "give them, or --allocation uniform",
                  request->allocation->name);
}

esp_status allocation_choose(prune_job *job) {
  job->allocation = job->request->allocation;
  if (is_auto(job->request))
    return esp_allocation_find(can_try(job) ? "balanced" : "uniform", &job->allocation);
  if (!job->allocation->needs_trial || can_try(job)) return ESP_OK;
  return fail_untried(job->request);
}
