/* The width: hidden dimensions, the same in all layers. They are chosen after the units, and cut
 * and repaired with them. */
#include "costs.h"
#include "keep.h"
#include "rules.h"
#include "selected.h"
#include "structure.h"

#include <string.h>

static bool is_asked(const esp_prune_request *request) {
  return request->sparsity[request->dense->n_stages] >= 0.0;
}

/* It is cut only when it is named. */
static esp_status take_site(esp_prune_request *request, const site_item *item, bool *taken) {
  if (request->dense->width.units == 0 || strcmp(item->name, ESP_SITE_WIDTH) != 0) return ESP_OK;
  request->sparsity[request->dense->n_stages] = item->sparsity;
  request->is_fixed[request->dense->n_stages] = item->is_own;
  *taken = true;
  return ESP_OK;
}

static void list_sites(const esp_model *dense, const char **names, int *n) {
  if (dense->width.units > 0) names[(*n)++] = ESP_SITE_WIDTH;
}

static esp_status check(const esp_prune_request *request) {
  (void)request;
  return ESP_OK;
}

static void share(esp_prune_request *request, double sparsity) {
  const int width = request->dense->n_stages;
  if (request_is_free(request, width)) request->sparsity[width] = sparsity;
}

static bool reads_covariance(const esp_prune_request *request) {
  return reads_activation_covariance(request);
}

static const char *reads_stream(const esp_prune_request *request) {
  (void)request;
  return "--sites width";
}

/* What its readers need is not told apart. */
static void mark_all(const esp_prune_request *request, esp_prune_extent *extent) {
  for (int i = 0; i < request->dense->n_stages; i++) extent->sites[i] = extent->full[i] = true;
  extent->codes = extent->logits = true;
}

static esp_status select_dimensions(prune_job *job) {
  const int at = job->request->dense->n_stages;
  ESP_TRY(ranker_rank_width(&job->ranker));
  keep_dimensions(job->request->dense, job->ranker.order[at], request_count_width(job->request),
                  &job->selection);
  selected_report(job, at);
  return selected_save(job, at);
}

static esp_status select_width(prune_job *job) {
  const int at = job->request->dense->n_stages;
  bool found;
  job->ranker.is_asked[at] = true;
  ESP_TRY(selected_load(job, at, &found));
  if (!found) ESP_TRY(select_dimensions(job));
  selected_chain_checksum(job, at);
  return ESP_OK;
}

static esp_status write(const prune_job *job, esp_h5 *file) {
  return selected_write(job, job->request->dense->n_stages, file);
}

static void sketch_selection(esp_prune_sketch *sketch) {
  keep_dimensions(sketch->request->dense, NULL, request_count_width(sketch->request),
                  &sketch->selection);
}

const esp_prune_structure prune_structure_width = {
    .name = "width",
    .summary = "hidden dimensions of all layers",
    .is_asked = is_asked,
    .take_site = take_site,
    .list_sites = list_sites,
    .check = check,
    .share = share,
    .reads = {.covariance = reads_covariance, .stream = reads_stream, .sites = mark_all},
    .select = select_width,
    .write = write,
    .shares_sparsity = true,
    .sketch = {.fill_selection = sketch_selection,
               .add_select_cost = add_select_cost_of_width,
               .add_ways = add_ways_of_width,
               .count_file_bytes = file_bytes_of_width}};
