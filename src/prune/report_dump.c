/* The report as JSON; docs/report.md names the fields. */
#define _XOPEN_SOURCE 700 // realpath
#include "espalier/core/json.h"
#include "espalier/prune/report.h"

#include "masks.h"
#include "rules.h"
#include "structure.h"

#include "espalier/model/family.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_real(json_t *object, const char *key, double value) {
  json_object_set_new(object, key, esp_json_real(value));
}

static void set_int(json_t *object, const char *key, int64_t value) {
  json_object_set_new(object, key, json_integer(value));
}

static void set_text(json_t *object, const char *key, const char *text) {
  json_object_set_new(object, key, esp_json_text(text));
}

static void set_hash(json_t *object, const char *key, uint64_t hash) {
  char text[24];
  snprintf(text, sizeof text, "%016" PRIx64, hash);
  set_text(object, key, text);
}

static void set_stability(json_t *object, const esp_stability *stability) {
  set_real(object, "stability", stability->same);
  set_real(object, "stability_by_chance", stability->by_chance);
}

static json_t *begin_site(const char *name, const char *kind, int64_t units, int64_t kept) {
  return esp_json_pack("{s:s, s:s, s:I, s:I}", "site", name, "kind", kind, "units",
                       (json_int_t)units, "kept", (json_int_t)kept);
}

static json_t *dump_site(const esp_prune_report *self, int site) {
  const esp_prune_site of = esp_prune_site_of(self->request->dense, site);
  const esp_site_report *report = &self->sites[site];
  json_t *row = begin_site(of.name, of.kind, report->units, report->kept);
  if (report->has_information) {
    set_real(row, "information_nats", report->information.mean);
    set_real(row, "information_kept", report->information.kept);
    set_real(row, "null_level_nats", report->information.null_level);
    set_real(row, "null_level_max_nats", report->information.null_level_max);
  }
  if (report->has_stability) set_stability(row, &report->stability);
  return row;
}

static json_t *dump_layers(const esp_layers_report *self) {
  json_t *row = begin_site(ESP_SITE_BLOCK, ESP_SITE_BLOCK, self->units, self->n_kept);
  json_t *list = json_array(), *kept = json_array();
  for (int64_t l = 0; l < self->units; l++)
    json_array_append_new(list, esp_json_real(self->by_layer[l]));
  for (int64_t k = 0; k < self->n_kept; k++)
    json_array_append_new(kept, json_integer(self->kept[k]));
  set_real(row, self->is_cosine ? "cosine" : "information_nats", self->mean);
  json_object_set_new(row, "by_layer", list);
  json_object_set_new(row, "kept_layers", kept);
  return row;
}

/* The width first, then from the bottom. */
static json_t *dump_sites(const esp_prune_report *self) {
  const int n = self->request->dense->n_stages;
  json_t *sites = json_array();
  for (int i = -1; i < n; i++) {
    const int site = i < 0 ? n : i;
    if (self->sites[site].is_selected) json_array_append_new(sites, dump_site(self, site));
  }
  if (self->layers.units > 0) json_array_append_new(sites, dump_layers(&self->layers));
  return sites;
}

/* Counts by kind, as far as the sites are alike: those of the first site of each. */
static json_t *dump_trial(const esp_prune_request *request, const esp_trial_report *self) {
  json_t *row = json_object();
  for (int s = 0; s < request->dense->n_stages; s++) {
    const char *kind = request->dense->stages[s].kind;
    if (request->sparsity[s] >= 0.0 && !json_object_get(row, kind))
      set_int(row, kind, self->kept[s]);
  }
  set_real(row, "loss_nats", self->loss_nats);
  return row;
}

static json_t *list_emptied(const esp_prune_report *self) {
  const esp_model *dense = self->request->dense;
  json_t *names = json_array();
  for (int i = 0; i < dense->n_stages; i++)
    if (self->allocated.n_kept[i] == 0 && dense->stages[i].units > 0)
      json_array_append_new(names, esp_json_text(dense->stages[i].name));
  return names;
}

static json_t *dump_allocation(const esp_prune_report *self) {
  const esp_allocation_report *allocated = &self->allocated;
  json_t *row = esp_json_pack("{s:s, s:o, s:o}", "name", allocated->name, "sparsity_asked",
                              esp_json_real(allocated->asked), "sparsity_chosen_matrices",
                              esp_json_real(allocated->got));
  json_t *trials = json_array();
  for (int i = 0; i < allocated->n_trials; i++)
    json_array_append_new(trials, dump_trial(self->request, &allocated->trials[i]));
  if (allocated->n_trials > 0) json_object_set(row, "trials", trials);
  json_decref(trials);
  if (!allocated->is_by_price) return row;
  set_real(row, "price_threshold", allocated->threshold);
  set_text(row, "price_unit",
           allocated->is_in_nats ? "nats a parameter" : "parts of a site a parameter");
  if (allocated->may_empty) json_object_set_new(row, "removed_whole", list_emptied(self));
  return row;
}

/* Nothing is smaller: what went are values. */
static void add_masks(const esp_prune_report *self, json_t *report) {
  json_t *rows = json_array();
  for (int i = 0; i < self->masks.n; i++) {
    const esp_mask_report *row = &self->masks.rows[i];
    json_array_append_new(rows, esp_json_pack("{s:s, s:I, s:I, s:s}", "weight",
                                              self->request->dense->weights[row->weight].name,
                                              "parameters", (json_int_t)row->count, "kept",
                                              (json_int_t)row->kept, "input_norms",
                                              *row->input.text ? row->input.text : "none"));
  }
  json_object_set_new(report, "matrices", rows);
  set_int(report, "parameters_unmasked", self->sizes.dense - self->masks.masked);
  set_real(report, "sparsity_prunable", (double)self->masks.masked / self->sizes.prunable);
}

static json_t *dump_rounds(const esp_prune_report *self) {
  json_t *rows = json_array();
  for (int i = 0; i < self->rounds.n; i++) {
    json_t *row = json_object();
    set_int(row, "rows", (int64_t)self->rounds.rows[i].rows);
    if (self->rounds.rows[i].change >= 0.0) set_real(row, "change", self->rounds.rows[i].change);
    json_array_append_new(rows, row);
  }
  return rows;
}

/* Absolute, so that it is found from another folder too. */
static json_t *describe_path(const char *path) {
  char *whole = realpath(path, NULL);
  json_t *text = esp_json_text(whole ? whole : path);
  free(whole);
  return text;
}

static void add_sizes(const esp_prune_report *self, json_t *report) {
  const double prunable = self->sizes.prunable;
  set_int(report, "parameters_dense", self->sizes.dense);
  set_int(report, "parameters", self->sizes.pruned);
  set_real(report, "sparsity_asked", esp_prune_report_get_asked(self));
  set_real(report, "sparsity_prunable",
           prunable > 0.0 ? 1.0 - self->sizes.prunable_pruned / prunable : 0.0);
  set_real(report, "sparsity_model", 1.0 - (double)self->sizes.pruned / (double)self->sizes.dense);
}

static void add_names(const esp_prune_report *self, json_t *report) {
  const esp_prune_request *request = self->request;
  set_text(report, "family", request->dense->family->name);
  set_text(report, "criterion", request->criterion->name);
  set_text(report, "repair", request->repair->name);
  set_text(report, "moments", request->settings->prune.moments);
  set_text(report, "metric", self->is_fisher ? "fisher" : "outputs");
  set_text(report, "structure", request->settings->prune.structure);
  set_text(report, "program", ESPALIER_VERSION);
  if (request->dense->is_masked) json_object_set_new(report, "masked", json_true());
  json_object_set_new(report, "model_path", describe_path(request->dense->path));
}

/* How the run was conducted changes nothing. */
static json_t *dump_options(const esp_prune_request *request) {
  json_t *options = esp_prune_settings_dump(request->settings);
  json_object_del(json_object_get(options, "run"), "restart");
  json_object_del(json_object_get(options, "run"), "save_every");
  return options;
}

static json_t *dump_warnings(const esp_prune_report *self) {
  json_t *warnings = json_array();
  if (self->warning) json_array_append_new(warnings, esp_json_text(self->warning));
  return warnings;
}

/* What kept counts of a kind are multiples of: heads come one by one. */
static json_t *list_multiples(const esp_prune_request *request) {
  json_t *multiples = json_object();
  for (int s = 0; s <= request->dense->n_stages; s++) {
    const esp_prune_site site = esp_prune_site_of(request->dense, s);
    if (request->sparsity[s] >= 0.0 && site.width == 1)
      set_int(multiples, site.kind, request_find_multiple(request, site.units));
  }
  return multiples;
}

static json_t *dump_alignment(const esp_prune_report *self) {
  json_t *row = json_object();
  json_object_set_new(row, "multiples", list_multiples(self->request));
  set_int(row, "parameters_unaligned", (int64_t)self->unaligned);
  set_int(row, "parameters_more", self->sizes.pruned - (int64_t)self->unaligned);
  return row;
}

static void add_selection(const esp_prune_report *self, json_t *report) {
  json_object_set_new(report, "sites", dump_sites(self));
  if (self->allocated.name) json_object_set_new(report, "allocation", dump_allocation(self));
  if (self->request->budget)
    json_object_set_new(report, "budget", esp_budget_dump(self->request->budget, false));
  if (self->unaligned > 0.0) json_object_set_new(report, "alignment", dump_alignment(self));
  if (self->information_note) set_text(report, "information_note", self->information_note);
  if (self->stability.is_measured) set_stability(report, &self->stability.mean);
  if (self->stability.note) set_text(report, "stability_note", self->stability.note);
  if (self->masks.rows) add_masks(self, report);
  if (self->rounds.rows) json_object_set_new(report, "doublings", dump_rounds(self));
  set_hash(report, "selection_checksum", self->checksum);
}

/* Who the dense model was, a collection says too. */
static void add_statistics(const esp_prune_report *self, json_t *report) {
  if (self->statistics_note) {
    set_text(report, "statistics_note", self->statistics_note);
    set_hash(report, "model_fingerprint", self->fingerprint);
    return;
  }
  set_int(report, "samples", self->rows);
  set_int(report, "bins", self->bins);
  if (self->parts.collection) json_object_set(report, "collection", self->parts.collection);
}

json_t *esp_prune_report_dump(const esp_prune_report *self) {
  json_t *report = json_object();
  add_names(self, report);
  add_sizes(self, report);
  add_statistics(self, report);
  add_selection(self, report);
  json_object_set_new(report, "repair_by_site", esp_repair_report_dump(&self->parts.repairs));
  if (self->parts.recovery.n_points > 0)
    json_object_set_new(report, "recovery", esp_train_report_dump(&self->parts.recovery));
  json_object_set_new(report, "warnings", dump_warnings(self));
  json_object_set_new(report, "options", dump_options(self->request));
  return report;
}

json_t *esp_prune_report_dump_run(const esp_prune_report *self) {
  json_t *report = esp_prune_report_dump(self);
  json_object_set(report, "run", self->parts.run);
  if (self->request->budget)
    json_object_set_new(report, "budget", esp_budget_dump(self->request->budget, true));
  set_int(report, "ranks", self->ranks);
  if (self->opening.with) set_text(report, "opens_with", self->opening.with);
  if (*self->opening.why) set_text(report, "opens_with_reason", self->opening.why);
  set_text(report, "output", self->request->settings->run.output);
  return report;
}
