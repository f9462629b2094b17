/* What a repair did, by site, and by matrix where the width was cut. All functions are local. */
#ifndef ESPALIER_SURGERY_REPAIR_REPORT_H
#define ESPALIER_SURGERY_REPAIR_REPORT_H

#include "espalier/core/c_linkage.h"

#include <jansson.h>
#include <stdbool.h>

ESP_C_BEGIN

/* What was chosen on held-out micro-batches. */
typedef struct esp_repair_fit {
  double ridge, step;               // relative to the mean diagonal; part of the way, 0 to 1
  double error_before, error_after; // squared, relative to the target's
} esp_repair_fit;

typedef struct esp_repair_row {
  char *name; // of the site, or the weight that reads the width; owned
  bool has_fit;
  esp_repair_fit fit;
} esp_repair_row;

typedef struct esp_repair_report {
  int n;
  esp_repair_row *rows; // owned
} esp_repair_report;

/* Add a row, or replace the one of that name; fit NULL: nothing was chosen. */
void esp_repair_report_set(esp_repair_report *self, const char *name, const esp_repair_fit *fit);
/* The row of a name; NULL: none. */
const esp_repair_row *esp_repair_report_find(const esp_repair_report *self, const char *name);
void esp_repair_report_clear(esp_repair_report *self);

/* {NAME: {"ridge", "step", "held_out_error_before", "held_out_error_after"}}, a new reference; and
 * set rows from it, ignoring what is none. */
json_t *esp_repair_report_dump(const esp_repair_report *self);
void esp_repair_report_read(esp_repair_report *self, const json_t *rows);

ESP_C_END

#endif
