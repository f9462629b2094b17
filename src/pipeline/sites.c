/* --sites: which kinds of sites, or single ones, are pruned, each by its own sparsity or by
 * --sparsity; a later item wins. */
#include "pipeline.h"

#include "espalier/core/memory.h"
#include "espalier/core/suggest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KINDS = 16 };

static void list_kinds(const esp_model *model, const char *names[MAX_KINDS]) {
  int n = 0;
  for (int i = 0; i < model->n_stages && n < MAX_KINDS - 1; i++) {
    bool is_new = true;
    for (int k = 0; k < n; k++) is_new &= strcmp(names[k], model->stages[i].kind) != 0;
    if (is_new) names[n++] = model->stages[i].kind;
  }
  if (model->width.units > 0 && n < MAX_KINDS - 1) names[n++] = ESP_SITE_WIDTH;
  if (esp_model_count_layers(model) > 0 && n < MAX_KINDS - 1) names[n++] = ESP_SITE_BLOCK;
  names[n] = NULL;
}

static esp_status read_sparsity(const char *text, double initial, double *sparsity) {
  char *end;
  *sparsity = initial;
  if (!text) return ESP_OK;
  *sparsity = strtod(text, &end);
  if (end != text && *end == '\0' && isfinite(*sparsity) && *sparsity >= 0.0 && *sparsity < 1.0)
    return ESP_OK;
  return esp_fail(ESP_USAGE, "--sites: expected a sparsity from 0 to below 1, found '%s'", text);
}

static bool is_named(const esp_stage *stage, const char *item) {
  return strcmp(stage->kind, item) == 0 || strcmp(stage->name, item) == 0;
}

/* One item, "kind", "kind=sparsity", or the same with the name of a site. */
static esp_status choose_item(prune_job *job, char *item) {
  const char *names[MAX_KINDS];
  char *value = strchr(item, '=');
  if (value) *value++ = '\0';
  double sparsity;
  bool found = false;
  ESP_TRY(read_sparsity(value, job->settings->allocation.sparsity, &sparsity));
  if (strcmp(item, ESP_SITE_BLOCK) == 0) return layers_choose(job, sparsity);
  for (int i = 0; i < job->dense->n_stages; i++)
    if (is_named(&job->dense->stages[i], item)) {
      job->sparsity[i] = sparsity;
      job->is_fixed[i] = value != NULL;
      found = true;
    }
  if (job->dense->width.units > 0 && strcmp(item, ESP_SITE_WIDTH) == 0) {
    job->sparsity[job->dense->n_stages] = sparsity;
    found = true;
  }
  if (found) return ESP_OK;
  list_kinds(job->dense, names);
  return esp_fail_unknown("kind of site", item, names);
}

static esp_status choose_named(prune_job *job) {
  const int n = job->dense->n_stages;
  job->sparsity = ESP_NEW(double, n + 1);
  job->is_fixed = ESP_NEW(bool, n);
  job->sparsity[n] = -1.0; // the width is cut only when it is named
  for (int i = 0; i < n; i++)
    job->sparsity[i] = job->settings->prune.sites ? -1.0 : job->settings->allocation.sparsity;
  if (!job->settings->prune.sites) {
    ESP_TRY(layers_choose_default(job));
    return layers_check(job);
  }
  char *list = esp_strdup(job->settings->prune.sites), *rest = list;
  esp_status status = ESP_OK;
  for (char *item; status == ESP_OK && (item = strtok_r(rest, ", ", &rest));)
    status = choose_item(job, item);
  esp_free(&list);
  return status == ESP_OK ? layers_check(job) : status;
}

/* Nothing can be chosen of a sub-layer that an earlier pruning has left without units. */
esp_status choose_sites(prune_job *job) {
  ESP_TRY(choose_named(job));
  for (int i = 0; i < job->dense->n_stages; i++)
    if (job->dense->stages[i].units == 0) job->sparsity[i] = -1.0;
  return ESP_OK;
}
