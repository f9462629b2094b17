/* What a pruning did. It becomes JSON once, when it is written; docs/report.md names the fields. */
#ifndef ESPALIER_PRUNE_REPORT_H
#define ESPALIER_PRUNE_REPORT_H

#include "espalier/core/c_linkage.h"
#include "espalier/model/opening.h"
#include "espalier/prune/request.h"
#include "espalier/train/report.h"

ESP_C_BEGIN

/* Information of a site's units with those above, means over the units, nats. */
typedef struct esp_site_information {
  double mean, null_level, null_level_max;
  double kept; // part of the sum that the kept units have
} esp_site_information;

/* How much of two kept sets is the same: those of either half of the calibration data. */
typedef struct esp_stability {
  double same, by_chance; // parts of the kept units
} esp_stability;

typedef struct esp_site_report {
  bool is_selected; // else nothing here is set
  int64_t units, kept;
  bool has_information, has_stability; // the width has no information of its own
  esp_site_information information;
  esp_stability stability;
} esp_site_report;

/* Whole layers. */
typedef struct esp_layers_report {
  int64_t units, n_kept, *kept; // layers; kept (n_kept) ascending, owned
  bool is_cosine;               // what they were measured by, else information in nats
  double *by_layer, mean;       // (units), owned
} esp_layers_report;

/* A trial cut of the balanced allocation. */
typedef struct esp_trial_report {
  int64_t *kept;    // (n_stages) units, owned
  double loss_nats; // a target
} esp_trial_report;

typedef struct esp_allocation_report {
  const char *name;                  // NULL: nothing was allocated
  double asked, got, threshold, all; // all: parameters that got is a part of
  bool is_by_price, is_in_nats, may_empty;
  int64_t *n_kept; // (n_stages) units, owned
  int n_trials;
  esp_trial_report *trials; // owned
} esp_allocation_report;

/* A matrix that was masked. */
typedef struct esp_mask_report {
  int weight; // of the dense model
  int64_t count, kept;
  esp_site_name input; // the site whose norms were read; empty: none
} esp_mask_report;

/* A round of samples of a criterion without data. */
typedef struct esp_round_report {
  double rows, change; // change of the scores, a part; below 0: nothing to compare with
} esp_round_report;

typedef struct esp_prune_report {
  esp_prune_request *request;       // owned
  const esp_allocation *allocation; // by which units were shared out
  esp_allocation_report allocated;
  esp_site_report *sites; // (n_stages + 1), owned
  esp_layers_report layers;
  struct {
    int n;
    esp_mask_report *rows; // owned
    int64_t masked;        // weights that became zero
  } masks;
  struct {
    bool is_measured;
    esp_stability mean; // over the sites that were cut
    char *note;         // why it was not measured; NULL: it was, or was not asked for; owned
  } stability;
  char *statistics_note;  // why there are none; NULL: there are; owned
  char *information_note; // why units were cut and no information is told; NULL: it is; owned
  struct {
    int n;
    esp_round_report *rows; // owned
  } rounds;
  struct {
    int64_t dense, pruned;            // parameters
    double prunable, prunable_pruned; // of the matrices that sites can shrink
  } sizes;
  double unaligned;    // parameters without --multiple-of; 0: that is not told
  esp_opening opening; // what opens the pruned model, once exported
  int ranks;
  uint64_t checksum;    // of the selection
  bool is_fisher;       // outputs were compared by Fisher information
  int64_t rows, bins;   // S, B; 0: no statistics
  uint64_t fingerprint; // of the dense model, where no statistics have it
  char *warning;        // what the figures should be read with; NULL: nothing; owned
  struct {
    esp_repair_report repairs;
    esp_train_report recovery; // no points: none was asked for
    json_t *collection, *run;  // of STATS.h5; times, memory, traffic; owned
  } parts;
} esp_prune_report;

void esp_prune_report_clear(esp_prune_report *self);

/* The largest sparsity asked for. Local. */
double esp_prune_report_get_asked(const esp_prune_report *self);
/* The report as PRUNED.h5 holds it, without what depends on the run; and with it, as
 * NAME.report.json and --json have it. New references. Local. */
json_t *esp_prune_report_dump(const esp_prune_report *self);
json_t *esp_prune_report_dump_run(const esp_prune_report *self);

ESP_C_END

#endif
