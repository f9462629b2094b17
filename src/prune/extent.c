/* A collection that is kept has all that later prunings may read; any other what this one reads
 * alone, as its structures say. */
#include "extent.h"

#include "allocation_choice.h"
#include "rules.h"
#include "structure.h"

#include "espalier/core/memory.h"

/* All is measured that is to be kept, be it read or not. */
static bool reads_statistics(const esp_prune_request *request) {
  const esp_prune_options *options = &request->settings->prune;
  if (options->keep_stats && !options->stats) return true;
  for (const esp_prune_structure *const *row = request->structures; *row; row++)
    if ((*row)->reads.statistics && (*row)->reads.statistics(request)) return true;
  return false;
}

bool esp_prune_reads_statistics(const esp_prune_request *request) {
  return request->extent.statistics;
}

void extent_choose(esp_prune_request *request) {
  const int n = request->dense->n_stages;
  esp_prune_extent *extent = &request->extent;
  *extent = (esp_prune_extent){
      .sites = ESP_NEW(bool, n),
      .full = ESP_NEW(bool, n),
      .statistics = reads_statistics(request),
      .codes = esp_prune_reads_codes(&request->settings->prune, request->criterion)};
  for (int i = 0; request->structures[i]; i++)
    if (request->structures[i]->reads.sites) request->structures[i]->reads.sites(request, extent);
}

/* What a collection takes for its own default where nothing is left out. */
static const bool *list_unless_all(const bool *sites, int n) {
  for (int i = 0; i < n; i++)
    if (!sites[i]) return sites;
  return NULL;
}

/* What no option sets. */
static void take_all(esp_collect_options *collect) {
  collect->only = collect->full = NULL;
  collect->leaves_codes = collect->leaves_logits = false;
  collect->plain_streams = collect->plain_halves = false;
}

void extent_apply(const esp_prune_request *request, esp_collect_options *collect) {
  const esp_prune_options *options = &request->settings->prune;
  const esp_prune_extent *extent = &request->extent;
  const int n = request->dense->n_stages;
  const bool cuts_width = request->sparsity[n] >= 0.0;
  take_all(collect);
  if (options->keep_stats || options->stats) return;
  collect->only = list_unless_all(extent->sites, n);
  collect->full = list_unless_all(extent->full, n);
  collect->leaves_codes = !extent->codes;
  collect->leaves_logits = !extent->logits;
  collect->covariance = structures_read_covariance(request) || allocation_may_try(request);
  collect->plain_streams = !cuts_width;
  collect->plain_halves = !reads_activation_covariance(request);
  collect->halves = collect->halves && structures_measure_stability(request);
}
