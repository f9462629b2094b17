#include "espalier/surgery/repair_report.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"

#include <stdlib.h>
#include <string.h>

static esp_repair_row *find(const esp_repair_report *self, const char *name) {
  for (int i = 0; i < self->n; i++)
    if (strcmp(self->rows[i].name, name) == 0) return &self->rows[i];
  return NULL;
}

static esp_repair_row *add(esp_repair_report *self, const char *name) {
  esp_repair_row *rows = ESP_NEW(esp_repair_row, self->n + 1);
  if (self->n > 0) memcpy(rows, self->rows, (size_t)self->n * sizeof *rows);
  esp_free(&self->rows);
  self->rows = rows;
  rows[self->n].name = esp_strdup(name);
  return &rows[self->n++];
}

void esp_repair_report_set(esp_repair_report *self, const char *name, const esp_repair_fit *fit) {
  esp_repair_row *row = find(self, name);
  if (!row) row = add(self, name);
  row->has_fit = fit != NULL;
  row->fit = fit ? *fit : (esp_repair_fit){0};
}

const esp_repair_row *esp_repair_report_find(const esp_repair_report *self, const char *name) {
  return find(self, name);
}

void esp_repair_report_clear(esp_repair_report *self) {
  for (int i = 0; i < self->n; i++) esp_free(&self->rows[i].name);
  esp_free(&self->rows);
  *self = (esp_repair_report){0};
}

static json_t *dump_fit(const esp_repair_fit *fit) {
  return esp_json_pack("{s:o, s:o, s:o, s:o}", "ridge", esp_json_real(fit->ridge), "step",
                       esp_json_real(fit->step), "held_out_error_before",
                       esp_json_real(fit->error_before), "held_out_error_after",
                       esp_json_real(fit->error_after));
}

json_t *esp_repair_report_dump(const esp_repair_report *self) {
  json_t *all = json_object();
  for (int i = 0; i < self->n; i++)
    json_object_set_new(all, self->rows[i].name,
                        self->rows[i].has_fit ? dump_fit(&self->rows[i].fit) : json_object());
  return all;
}

static double get_real(const json_t *row, const char *key) {
  return json_number_value(json_object_get(row, key));
}

void esp_repair_report_read(esp_repair_report *self, const json_t *rows) {
  const char *name;
  json_t *row;
  json_object_foreach((json_t *)(uintptr_t)rows, name, row) {
    const esp_repair_fit fit = {get_real(row, "ridge"), get_real(row, "step"),
                                get_real(row, "held_out_error_before"),
                                get_real(row, "held_out_error_after")};
    esp_repair_report_set(self, name, json_object_get(row, "step") ? &fit : NULL);
  }
}
