/* Repair: consumers are fitted again so that the outputs move least. One file each, one row in
 * repairs.c. docs/method/repair.md. */
#ifndef ESPALIER_SURGERY_REPAIR_H
#define ESPALIER_SURGERY_REPAIR_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/options.h"
#include "espalier/flow/shape.h"
#include "espalier/io/journal.h"
#include "espalier/stats/cost.h"
#include "espalier/stats/stats.h"
#include "espalier/surgery/cut.h"
#include "espalier/surgery/repair_report.h"

ESP_C_BEGIN

typedef struct esp_repair_options {
  char *name;   // of the repair
  double ridge; // of least squares, relative to the mean variance
} esp_repair_options;
extern const esp_option_group esp_repair_option_group;

typedef struct esp_repair_job {
  const esp_comm *comm;
  esp_model *dense, *pruned;
  const esp_selection *selection;
  esp_stats *stats;          // with covariances where the repair needs them
  esp_shard *shard;          // calibration samples where the repair needs them, else NULL
  double ridge;              // relative to the mean diagonal
  esp_journal *journal;      // what an interrupted run has repaired, and this one does; NULL: none
  esp_repair_report *report; // gets a row a site
} esp_repair_job;

/* Sizes of a repair, for its cost; all is borrowed. */
typedef struct esp_repair_shape {
  int ranks;
  const esp_model *dense, *pruned;
  const esp_stats_shape *stats;    // NULL: where whole layers were removed
  const esp_shard_shape *samples;  // NULL: it reads none
  bool is_width_cut, is_of_layers; // layers: they were removed whole
} esp_repair_shape;

typedef struct esp_repair {
  const char *name; // "none", "bias", "least-squares", "sequential"
  const char *summary;
  bool needs_moments;                // statistics without second moments; those need no mention
  bool needs_covariance, needs_data; // with them; and samples
  bool needs_data_for_width;         // once the width is cut
  /* Give the pruned model's consumers new values. NUMERIC, FORMAT. Collective. */
  esp_status (*apply)(esp_repair_job *job);
  /* The same where whole layers were removed, kept (pruned layers) being left; neither selection
   * nor statistics are read. NULL: it has nothing to fit there, and is refused. Collective. */
  esp_status (*apply_to_layers)(esp_repair_job *job, const int64_t *kept);
  /* What either takes, and leaves in memory: the values that it gives. NULL: nothing. Local. */
  void (*cost)(const esp_repair_shape *shape, esp_cost *cost);
} esp_repair;

/* How many stages' repairs a journal has that go on at this number of ranks, and others: those
 * whose rounding is that of another number. Local. */
int esp_repair_count_records_local(const esp_journal *journal, int ranks, int *n_others);

/* Find; USAGE names the known ones. */
esp_status esp_repair_find(const char *name, const esp_repair **repair);
extern const esp_repair *const esp_repairs[];
/* Repair, opened samples and statistics being the caller's. Local. */
void esp_repair_add_cost(const esp_repair *repair, const esp_repair_shape *shape, esp_cost *cost);

ESP_C_END

#endif
