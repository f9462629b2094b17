/* The command sweep: one model pruned at several sparsities and by several criteria from one
 * collection, each result evaluated beside the dense model. What it leaves in its folder is what
 * slurm/sweep.sbatch and gather.sbatch leave, and the same tables and page are made of it. (The
 * module sweep is another: the counting of pairs.) */
#ifndef ESPALIER_SERIES_SERIES_H
#define ESPALIER_SERIES_SERIES_H

#include "espalier/core/c_linkage.h"
#include "espalier/eval/eval.h"
#include "espalier/prune/settings.h"

#include <jansson.h>

ESP_C_BEGIN

/* Lists with commas. */
typedef struct esp_series_options {
  char *sparsity, *criterion, *repair;
} esp_series_options;
extern const esp_option_group esp_series_option_group;

/* prune: those of every point; its sparsity, criterion, repair, output and data are not read. */
typedef struct esp_series_settings {
  esp_prune_settings prune;
  esp_eval_options eval;
  esp_series_options series;
} esp_series_settings;

/* One pruning of the series: files FOLDER/NAME.h5, NAME.h5.report.json, eval.NAME.json, and
 * NAME.log where it failed. */
typedef struct esp_series_point {
  char *name;               // "CRITERION-SPARSITY-REPAIR", owned
  char *criterion, *repair; // owned
  double sparsity;
  bool was_done; // by an earlier run of the same request
  esp_status status;
  char *failure; // owned; NULL: it has succeeded
} esp_series_point;

typedef struct esp_series_report {
  int n, n_failed;
  esp_series_point *points; // (n), owned
  json_t *rows;             // as eval --json has them: the dense model, then the points; owned
  esp_task task;
  esp_data_kind kind;
  int64_t context; // tokens of a sequence, or pixels
  char *no_tables; // why there is no table.csv; NULL: there is one; owned
} esp_series_report;

/* The points of these lists: "0.1,0.2,...,0.7" counts on by the last step. USAGE: a criterion or
 * repair that is not known, a sparsity out of range, a point twice. Local. */
esp_status esp_series_list(const esp_series_options *options, int *n, esp_series_point **points);
void esp_series_clear_points(int n, esp_series_point **points);

/* Prune and evaluate all points of the model at path: settings->prune.prune.stats from one
 * collection, settings->prune.data.data for evaluation, settings->prune.run.output the folder.
 * No statistics are needed where no point reads any. Points that an earlier run of the same request
 * finished are kept. A point that fails is noted, and the others go on. *report is the caller's to
 * clear, also on failure. USAGE, IO, FORMAT, MISMATCH: of the series as a whole; INTERRUPTED: the
 * same call goes on. Collective on comm; equal on all ranks: settings, path. */
esp_status esp_series_run(const esp_comm *comm, const esp_series_settings *settings,
                          const char *path, esp_series_report *report);
void esp_series_report_clear(esp_series_report *self);
/* As --json has it. A new reference. Local. */
json_t *esp_series_report_dump(const esp_series_report *self);
/* The status of the first point that failed, with how many did and why. Local. */
esp_status esp_series_check(const esp_series_report *self);

ESP_C_END

#endif
