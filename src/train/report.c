#include "espalier/train/report.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"

#include <math.h>

void esp_train_report_clear(esp_train_report *self) {
  esp_free(&self->points);
  for (int i = 0; i < self->policy.n; i++) esp_free(&self->policy.parts[i].name);
  esp_free(&self->policy.parts);
  *self = (esp_train_report){0};
}

static void set_if_known(json_t *object, const char *key, double value) {
  if (isfinite(value)) json_object_set_new(object, key, json_real(value));
}

static json_t *dump_point(const esp_train_point *self) {
  json_t *row = esp_json_pack("{s:I}", "step", (json_int_t)self->step);
  set_if_known(row, "training_loss_nats", self->loss);
  set_if_known(row, "training_accuracy", self->accuracy);
  set_if_known(row, "held_out_loss_nats", self->held_out);
  set_if_known(row, "sparsity", self->sparsity);
  set_if_known(row, "held_out_change_error_nats", self->error);
  if (self->step > 0) set_if_known(row, "rate", self->rate);
  if (self->step > 0) set_if_known(row, "gradient_norm", self->norm);
  return row;
}

const esp_train_point *esp_train_report_find(const esp_train_report *self, int64_t step) {
  for (int i = 0; i < self->n_points; i++)
    if (self->points[i].step == step) return &self->points[i];
  return &self->points[self->n_points - 1];
}

static void add_held_out(const esp_train_report *self, json_t *report) {
  json_object_set_new(report, "held_out_objective", esp_json_text(self->held_out_objective));
  json_object_set_new(report, "held_out_targets", json_integer(self->held_out_targets));
  set_if_known(report, "held_out_loss_nats_before", esp_train_report_find(self, 0)->held_out);
  set_if_known(report, "held_out_loss_nats",
               esp_train_report_find(self, self->best_step)->held_out);
}

/* Equal parts of [0, 1], the last with its end. */
static json_t *dump_irrelevance(const esp_train_report *self) {
  json_t *counts = json_array();
  for (int b = 0; b < ESP_TRAIN_BINS; b++)
    json_array_append_new(counts, json_integer(self->policy.irrelevance[b]));
  return esp_json_pack("{s:I, s:o}", "step", (json_int_t)self->policy.irrelevance_step, "counts",
                       counts);
}

static json_t *dump_policy(const esp_train_report *self) {
  json_t *parts = json_array();
  for (int i = 0; i < self->policy.n; i++) {
    const esp_pruned_part *part = &self->policy.parts[i];
    json_t *row = esp_json_pack("{s:s, s:I, s:I}", "name", part->name, "count", (json_int_t)part->n,
                                "live", (json_int_t)part->live);
    if (part->is_least) json_object_set_new(row, "is_least", json_true());
    json_array_append_new(parts, row);
  }
  json_t *policy =
      esp_json_pack("{s:s, s:s, s:b, s:f, s:o}", "name", self->policy.name, "granularity",
                    self->policy.by_units ? "units" : "weights", "is_final",
                    (int)self->policy.is_final, "sparsity", self->policy.sparsity, "parts", parts);
  if (self->policy.is_frozen) json_object_set_new(policy, "is_frozen", json_true());
  set_if_known(policy, "sparsity_asked", self->policy.asked);
  if (self->policy.irrelevance_step > 0)
    json_object_set_new(policy, "irrelevance", dump_irrelevance(self));
  return policy;
}

json_t *esp_train_report_dump(const esp_train_report *self) {
  json_t *curve = json_array();
  for (int i = 0; i < self->n_points; i++)
    json_array_append_new(curve, dump_point(&self->points[i]));
  json_t *report = esp_json_pack(
      "{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "retries", (json_int_t)self->retries,
      "objective", self->objective, "epochs", (json_int_t)self->epochs, "steps",
      (json_int_t)self->steps, "steps_planned", (json_int_t)self->planned, "best_step",
      (json_int_t)self->best_step, "parameters", (json_int_t)self->parameters,
      "parameters_trainable", (json_int_t)self->trainable, "curve", curve);
  if (self->n_points > 0) {
    const esp_train_point *last = &self->points[self->n_points - 1];
    set_if_known(report, "training_loss_nats", last->loss);
    set_if_known(report, "training_accuracy", last->accuracy);
  }
  if (self->held_out_objective) add_held_out(self, report);
  if (self->policy.name) json_object_set_new(report, "policy", dump_policy(self));
  return report;
}
