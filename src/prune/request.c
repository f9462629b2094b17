#include "allocation_choice.h"
#include "budgets.h"
#include "extent.h"
#include "structure.h"

#include "espalier/core/memory.h"
#include "espalier/core/suggest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static esp_status read_sparsity(const char *text, double *sparsity) {
  char *end;
  *sparsity = strtod(text, &end);
  if (end != text && *end == '\0' && isfinite(*sparsity) && *sparsity >= 0.0 && *sparsity < 1.0)
    return ESP_OK;
  return esp_fail(ESP_USAGE, "--sites: expected a sparsity from 0 to below 1, found '%s'", text);
}

static esp_status fail_unknown(const esp_model *dense, const char *name) {
  const int most = dense->n_stages + ESP_MOST_STRUCTURES + 1;
  const char **names = ESP_NEW(const char *, most);
  int n = 0;
  for (int i = 0; prune_structures[i]; i++)
    if (prune_structures[i]->list_sites) prune_structures[i]->list_sites(dense, names, &n);
  const esp_status status = esp_fail_unknown("kind of site", name, names);
  esp_free(&names);
  return status;
}

/* One item, "kind", "kind=sparsity", or the same with the name of a site. */
static esp_status take_item(esp_prune_request *request, char *text) {
  site_item item = {.name = text, .sparsity = request->asked};
  char *value = strchr(text, '=');
  bool taken = false;
  if (value) {
    *value++ = '\0';
    item.is_own = true;
    ESP_TRY(read_sparsity(value, &item.sparsity));
  }
  for (int i = 0; prune_structures[i] && !taken; i++)
    if (prune_structures[i]->take_site)
      ESP_TRY(prune_structures[i]->take_site(request, &item, &taken));
  return taken ? ESP_OK : fail_unknown(request->dense, item.name);
}

static esp_status take_items(esp_prune_request *request, const char *sites) {
  char *list = esp_strdup(sites), *rest = list;
  esp_status status = ESP_OK;
  for (char *item; status == ESP_OK && (item = strtok_r(rest, ", ", &rest));)
    status = take_item(request, item);
  esp_free(&list);
  return status;
}

static esp_status take_defaults(esp_prune_request *request) {
  for (int i = 0; prune_structures[i]; i++)
    if (prune_structures[i]->take_default) ESP_TRY(prune_structures[i]->take_default(request));
  return ESP_OK;
}

/* Nothing can be chosen of a sub-layer that an earlier pruning has left without units. */
static esp_status choose_sites(esp_prune_request *request) {
  const int n = request->dense->n_stages;
  const char *sites = request->settings->prune.sites;
  request->sparsity = ESP_NEW(double, n + 1);
  request->is_fixed = ESP_NEW(bool, n + 1);
  request->layer_sparsity = -1.0;
  for (int i = 0; i <= n; i++) request->sparsity[i] = -1.0;
  ESP_TRY(sites ? take_items(request, sites) : take_defaults(request));
  for (int i = 0; i < n; i++)
    if (request->dense->stages[i].units == 0) request->sparsity[i] = -1.0;
  return ESP_OK;
}

static esp_status choose_structures(esp_prune_request *request) {
  int n = 0;
  for (int i = 0; prune_structures[i]; i++)
    if (prune_structures[i]->is_asked(request)) request->structures[n++] = prune_structures[i];
  for (int i = 0; i < n; i++) ESP_TRY(request->structures[i]->check(request));
  return ESP_OK;
}

/* --data is for the repair, or the recovery, where the criterion uses none. */
static esp_status check_data_free(const esp_prune_request *request) {
  const bool recovers = request->settings->prune.recover_tokens > 0;
  if (!esp_prune_reads_other_data(request) || esp_prune_repairs_from_samples(request) || recovers)
    return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "criterion '%s' uses no data, and repair '%s' would not read %s; leave --data "
                  "out, or choose another of the two",
                  request->criterion->name, request->repair->name, request->settings->data.data);
}

static esp_status resolve_names(esp_prune_request *request) {
  const esp_prune_settings *settings = request->settings;
  const char *allocation = settings->allocation.name;
  const bool is_auto = strcmp(allocation, ESP_ALLOCATION_AUTO) == 0;
  ESP_TRY(esp_criterion_find(settings->prune.criterion, &request->criterion));
  ESP_TRY(esp_allocation_find(is_auto ? "uniform" : allocation, &request->allocation));
  request->reduce = esp_sweep_find_reduce(settings->sweep.reduce);
  return esp_repair_find(settings->repair.name, &request->repair);
}

static esp_status resolve(esp_prune_request *request) {
  if (strcmp(request->settings->prune.heads, "group") == 0)
    for (int i = 0; i < request->dense->n_stages; i++)
      esp_stage_merge_groups(&request->dense->stages[i]);
  ESP_TRY(resolve_names(request));
  ESP_TRY(choose_sites(request));
  ESP_TRY(choose_structures(request));
  ESP_TRY(check_data_free(request));
  ESP_TRY(metric_check_request(request));
  ESP_TRY(recovery_check(request));
  ESP_TRY(allocation_check(request));
  extent_choose(request);
  return budget_open(request);
}

esp_status esp_prune_request_new(const esp_prune_settings *settings, esp_model *dense,
                                 esp_prune_request **request) {
  *request = ESP_NEW(esp_prune_request, 1);
  (*request)->settings = settings;
  (*request)->dense = dense;
  (*request)->asked = settings->allocation.sparsity;
  const esp_status status = resolve(*request);
  if (status != ESP_OK) esp_prune_request_free(request);
  return status;
}

typedef esp_status (*model_opener)(const esp_comm *comm, const char *path, const char *ignored,
                                   esp_model **model);

/* Names are looked up first: a slip should not cost the reading of a large model. */
static esp_status open_with(const esp_comm *comm, const esp_prune_settings *settings,
                            const char *path, model_opener open, esp_prune_request **request) {
  esp_prune_request names = {.settings = settings};
  esp_model *dense = NULL;
  *request = NULL;
  ESP_TRY(resolve_names(&names));
  ESP_TRY(open(comm, path, settings->run.ignore_tensors, &dense));
  return esp_prune_request_new(settings, dense, request);
}

esp_status esp_prune_request_open(const esp_comm *comm, const esp_prune_settings *settings,
                                  const char *path, esp_prune_request **request) {
  return open_with(comm, settings, path, esp_model_open_ignoring, request);
}

esp_status esp_prune_request_open_described(const esp_comm *comm,
                                            const esp_prune_settings *settings, const char *path,
                                            esp_prune_request **request) {
  return open_with(comm, settings, path, esp_model_open_described, request);
}

void esp_prune_request_free(esp_prune_request **request) {
  esp_prune_request *self = *request;
  if (!self) return;
  esp_free(&self->sparsity);
  esp_free(&self->is_fixed);
  esp_budget_free(&self->budget);
  esp_free(&self->extent.sites);
  esp_free(&self->extent.full);
  esp_model_free(&self->dense);
  esp_free(request);
}

esp_prune_site esp_prune_site_of(const esp_model *dense, int site) {
  if (site == dense->n_stages)
    return (esp_prune_site){ESP_SITE_WIDTH, ESP_SITE_WIDTH, dense->width.units, 1};
  const esp_stage *stage = &dense->stages[site];
  return (esp_prune_site){stage->name, stage->kind, stage->units, stage->width};
}
