/* What the files of the series share. */
#ifndef ESPALIER_SRC_SERIES_INTERNAL_H
#define ESPALIER_SRC_SERIES_INTERNAL_H

#include "espalier/series/series.h"

/* A series under way. */
typedef struct series {
  const esp_comm *comm;
  const esp_series_settings *settings;
  const char *folder, *path;
  esp_model *dense;
  const char *origin_key; // in a report: what its point was made from
  json_t *origin;         // /meta of the statistics; without, the model's fingerprint
  esp_dataset *data;
  json_t *dense_row; // NULL: not evaluated yet
  esp_series_report *report;
} series;

/* FOLDER/PREFIX NAME END, owned by the caller. Local. */
char *series_name_file(const series *self, const char *prefix, const char *name, const char *end);
/* The settings of a point: texts are borrowed, but the output, which is the caller's. Local. */
esp_prune_settings series_set_point(const series *self, const esp_series_point *point);
/* A JSON file of the folder, NULL: it is not there, or not JSON. Collective. */
json_t *series_read_json(const series *self, const char *path);

/* Whether NAME.h5 and its report are there, made by this request from these statistics; *is_other:
 * they are there, but of another. Collective. */
bool series_is_done(const series *self, const esp_series_point *point, bool *is_other);

/* Evaluate a finished point, or take its eval.NAME.json where it is of the same data and options:
 * appends its row to the report. Collective. */
esp_status series_evaluate(series *self, const esp_series_point *point, bool may_take);

/* Have analysis/gather.sh make tables and page, on rank 0; the reason where it does not, owned by
 * the caller, else NULL. Collective. */
char *series_make_tables(const series *self);

#endif
