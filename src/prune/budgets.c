#include "budgets.h"

#include "rules.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"
#include "espalier/surgery/cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const esp_budget_kind *const kinds[] = {&budget_parameters, &budget_bytes, &budget_speed};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

const char *esp_budget_name(const esp_budget_limit *limit) {
  return limit->kind->name;
}

static esp_status check_structure(const esp_prune_request *request, const char *option) {
  if (strcmp(request->settings->prune.structure, "unstructured") == 0)
    return esp_fail(ESP_USAGE,
                    "--%s: --structure unstructured sets weights to zero and shrinks nothing; "
                    "remove units, or give --sparsity",
                    option);
  if (request_shares_sparsity(request)) return ESP_OK;
  if (!request->settings->prune.sites)
    return esp_fail(ESP_USAGE, "--%s: this model has no units left that could go", option);
  return esp_fail(ESP_USAGE,
                  "--%s: all sites to prune have a sparsity of their own in --sites %s; leave one "
                  "without, which the budget then decides",
                  option, request->settings->prune.sites);
}

static esp_status add_limit(esp_prune_request *request, const esp_budget_kind *kind, double asked) {
  ESP_TRY(check_structure(request, kind->name));
  if (kind->check) ESP_TRY(kind->check(request));
  if (!request->budget) {
    request->budget = ESP_NEW(esp_prune_budget, 1);
    request->budget->unaligned = -1.0;
  }
  request->budget->limits[request->budget->n++] = (esp_budget_limit){.kind = kind, .asked = asked};
  return ESP_OK;
}

esp_status budget_open(esp_prune_request *request) {
  _Static_assert((int)N_KINDS <= (int)ESP_MOST_BUDGETS, "room for all");
  for (int i = 0; i < N_KINDS; i++) {
    const double asked = kinds[i]->get_asked(&request->settings->allocation);
    if (asked > 0.0) ESP_TRY(add_limit(request, kinds[i], asked));
  }
  return ESP_OK;
}

void esp_budget_free(esp_prune_budget **budget) {
  if (!*budget) return;
  esp_free(&(*budget)->times.work_of);
  esp_free(&(*budget)->times.works);
  esp_free(budget);
}

bool budget_is_within(const esp_budget_limit *limit, double value) {
  return limit->kind->is_least ? value >= limit->asked : value <= limit->asked;
}

bool budget_is_met(const esp_prune_request *request, const esp_model *model) {
  const esp_prune_budget *budget = request->budget;
  for (int i = 0; i < budget->n; i++)
    if (!budget_is_within(&budget->limits[i], budget->limits[i].kind->measure(request, model)))
      return false;
  return true;
}

bool budget_is_enough(const void *context, const esp_allocation_job *job) {
  const esp_prune_request *request = context;
  const int n = request->dense->n_stages;
  esp_model *shape;
  int64_t *units = ESP_NEW(int64_t, n + 1);
  for (int s = 0; s < n; s++) units[s] = job->sites[s].n_kept;
  units[n] = request_count_width(request);
  const esp_status status = esp_model_resize(request->dense, units, &shape);
  ESP_ASSERT(status == ESP_OK); // as it will be when the model is cut
  const bool met = budget_is_met(request, shape);
  esp_model_free(&shape);
  esp_free(&units);
  return met;
}

esp_status budget_check(const esp_prune_request *request, const esp_model *model) {
  const esp_prune_budget *budget = request->budget;
  for (int i = 0; i < budget->n; i++) {
    const esp_budget_limit *limit = &budget->limits[i];
    const double value = limit->kind->measure(request, model);
    if (budget_is_within(limit, value)) continue;
    return esp_fail(ESP_USAGE,
                    "--%s %.15g cannot be reached: with all that can go of the chosen sites%s it "
                    "is %.10g %s (dense: %.10g); ask for that, or choose more --sites",
                    limit->kind->name, limit->asked,
                    request->settings->allocation.min_keep > 0 ? " but --min-keep" : "", value,
                    limit->kind->noun, limit->dense);
  }
  return ESP_OK;
}

void esp_prune_request_take(esp_prune_request *request, const esp_model *model) {
  for (int i = 0; i < request->budget->n; i++) {
    esp_budget_limit *limit = &request->budget->limits[i];
    limit->got = limit->kind->measure(request, model);
  }
}

esp_budget_number esp_budget_format(double value) {
  esp_budget_number self;
  for (int digits = 6; digits <= 17; digits++) {
    snprintf(self.text, sizeof self.text, "%.*g", digits, value);
    if (strtod(self.text, NULL) == value) break;
  }
  return self;
}

static json_t *dump_work(const esp_stage_times *self) {
  json_t *rows = json_array();
  for (int i = 0; i < self->n; i++)
    json_array_append_new(rows, esp_json_pack("{s:I, s:f}", "units", (json_int_t)self->kept[i],
                                              "seconds", self->seconds[i]));
  return esp_json_pack("{s:i, s:o}", "first_stage", self->stage, "times", rows);
}

static json_t *dump_times(const esp_time_table *self) {
  json_t *works = json_array();
  for (int w = 0; w < self->n_works; w++) json_array_append_new(works, dump_work(&self->works[w]));
  return esp_json_pack("{s:f, s:f, s:o}", "embedding_s", self->embed_s, "head_s", self->head_s,
                       "stages", works);
}

/* As options are called in files. */
static json_t *dump_limit(const esp_budget_limit *self) {
  return esp_json_pack("{s:f, s:f, s:f, s:b}", "asked", self->asked, "dense", self->dense, "got",
                       self->got, "binds", (int)self->binds);
}

json_t *esp_budget_dump(const esp_prune_budget *self, bool with_measured) {
  json_t *all = esp_json_pack("{s:f}", "sparsity", self->sparsity);
  for (int i = 0; i < self->n; i++) {
    char *key = esp_strdup(self->limits[i].kind->name);
    for (char *c = key; *c; c++)
      if (*c == '-') *c = '_';
    json_object_set_new(all, key, dump_limit(&self->limits[i]));
    esp_free(&key);
  }
  if (self->times.n_works > 0) json_object_set_new(all, "layer_times", dump_times(&self->times));
  if (with_measured && self->measured > 0.0)
    json_object_set_new(all, "measured_speed_up", esp_json_real(self->measured));
  return all;
}
