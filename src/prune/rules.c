#include "rules.h"

#include "espalier/model/family.h"

#include <string.h>

bool esp_prune_has_rounds(const esp_prune_request *request) {
  return request->criterion->is_data_free && !request->settings->prune.stats;
}

bool esp_prune_reads_other_data(const esp_prune_request *request) {
  const char *data = request->settings->data.data;
  return request->criterion->is_data_free && data && !esp_dataset_is_made(data);
}

bool esp_prune_repairs_from_samples(const esp_prune_request *request) {
  const bool has_width = request->sparsity[request->dense->n_stages] >= 0.0;
  return request->repair->needs_data || (has_width && request->repair->needs_data_for_width);
}

bool request_is_free(const esp_prune_request *request, int stage) {
  return request->sparsity[stage] >= 0.0 && !request->is_fixed[stage];
}

bool request_shares_sparsity(const esp_prune_request *request) {
  if (request->layer_sparsity >= 0.0) return !request->is_layer_fixed;
  for (int i = 0; i <= request->dense->n_stages; i++)
    if (request_is_free(request, i)) return true;
  return false;
}

/* auto: at most a sixteenth of the site, so that what is asked is still met closely. */
int64_t request_find_multiple(const esp_prune_request *request, int64_t units) {
  static const int64_t liked[] = {256, 64, 8};
  const int64_t asked = request->settings->allocation.multiple_of;
  if (request->ignores_multiple) return 1;
  if (asked > 0) return asked;
  for (unsigned i = 0; i < sizeof liked / sizeof *liked; i++)
    if (units >= 16 * liked[i]) return liked[i];
  return 1;
}

int64_t request_count_width(const esp_prune_request *request) {
  const int64_t units = request->dense->width.units;
  const esp_budget_rule rule = {.sparsity = request->sparsity[request->dense->n_stages],
                                .multiple_of = request_find_multiple(request, units),
                                .min_keep = request->settings->allocation.min_keep};
  return rule.sparsity >= 0.0 ? esp_budget_uniform(&rule, units) : 0;
}

bool metric_is_wanted(const esp_prune_request *request) {
  return request->criterion->needs & ESP_NEEDS_METRIC &&
         strcmp(request->settings->prune.metric, "outputs") != 0;
}

bool metric_is_fisher(const esp_prune_request *request, const esp_stats *stats) {
  return metric_is_wanted(request) && stats && stats->about.fisher_rows > 0;
}

static bool asks_fisher(const esp_prune_request *request) {
  return strcmp(request->settings->prune.metric, "fisher") == 0;
}

esp_status metric_check_request(const esp_prune_request *request) {
  if (!asks_fisher(request) || request->criterion->needs & ESP_NEEDS_METRIC) return ESP_OK;
  return esp_fail(ESP_USAGE, "--metric fisher is for criterion 'set-mi', not '%s'",
                  request->criterion->name);
}

esp_status metric_check(const esp_prune_request *request, const esp_stats *stats) {
  if (!asks_fisher(request) || metric_is_fisher(request, stats)) return ESP_OK;
  return esp_fail(
      ESP_MISMATCH,
      "%s: --metric fisher needs the Fisher information, which was not collected; collect "
      "again, with --fisher-tokens",
      stats->path);
}

bool reads_calibration(const esp_prune_request *request) {
  return request->criterion->needs &
         (ESP_NEEDS_INFORMATION | ESP_NEEDS_COVARIANCE | ESP_NEEDS_MOMENTS);
}

/* A repair's samples are those of the statistics. */
static bool repair_needs_statistics(const esp_repair *repair) {
  return repair->needs_moments || repair->needs_covariance || repair->needs_data ||
         repair->needs_data_for_width;
}

bool esp_prune_needs_statistics(const esp_criterion *criterion, const esp_repair *repair) {
  const unsigned weights = ESP_NEEDS_MAP | ESP_NEEDS_NORMS;
  return criterion->needs & ~weights || criterion->is_data_free || criterion->tells_information ||
         repair_needs_statistics(repair);
}

bool esp_prune_reads_codes(const esp_prune_options *options, const esp_criterion *criterion) {
  const unsigned codes = ESP_NEEDS_INFORMATION | ESP_NEEDS_CODES | ESP_NEEDS_LAYER_INFORMATION;
  const bool counts_moments =
      criterion->needs & ESP_NEEDS_COVARIANCE && strcmp(options->moments, "codes") == 0;
  return criterion->needs & codes || criterion->tells_information || counts_moments;
}

bool reads_activation_covariance(const esp_prune_request *request) {
  const unsigned needs = request->criterion->needs;
  return needs & ESP_NEEDS_COVARIANCE && !(needs & ESP_NEEDS_CODES) &&
         strcmp(request->settings->prune.moments, "activations") == 0;
}

bool uses_own_output(const esp_prune_request *request) {
  return strcmp(request->settings->prune.upper, "output") == 0 && request->dense->width.units > 0;
}

/* Prices in nats say themselves when a site has given enough; others are too crude for that
 * (docs/results.md). */
double find_cap(const esp_prune_request *request, bool is_in_nats) {
  const double crude = 0.8, asked = request->settings->allocation.max_sparsity;
  if (asked > 0.0) return asked;
  return !request->allocation->is_by_price || is_in_nats ? 1.0 : crude;
}

bool may_empty_stages(const esp_prune_request *request, bool is_in_nats) {
  return request->allocation->is_by_price && request->settings->allocation.min_keep == 0 &&
         find_cap(request, is_in_nats) >= 1.0;
}

esp_status recovery_check(const esp_prune_request *request) {
  const esp_family *family = request->dense->family;
  if (request->settings->prune.recover_tokens == 0) return ESP_OK;
  if (family->embed_backward) return ESP_OK;
  return esp_fail(ESP_USAGE, "--recover-tokens: family '%s' cannot be trained", family->name);
}
