/* What a training did. */
#ifndef ESPALIER_TRAIN_REPORT_H
#define ESPALIER_TRAIN_REPORT_H

#include "espalier/core/c_linkage.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

ESP_C_BEGIN

/* A point of the curve: behind a step, of the steps since the point before. */
typedef struct esp_train_point {
  int64_t step;    // made so far
  double rate;     // of the last of them
  double norm;     // of its gradient
  double loss;     // training objective, mean a target, nats; NAN before the first step
  double accuracy; // part of the targets that were right; NAN likewise
  double held_out; // loss on held-out data, nats a target; NAN: there is none
  double sparsity; // part of the prunable weights, or units, that is pruned; NAN: no policy
  double error;    // standard error of its change since before the first step; NAN: there is none
} esp_train_point;

/* A matrix, or a site, that a policy prunes. */
typedef struct esp_pruned_part {
  char *name;      // of the weight, or of the site; owned
  int64_t n, live; // weights, or units; frozen weights do not live
  bool is_least;   // no more could go: --min-keep, or one
} esp_pruned_part;

enum { ESP_TRAIN_BINS = 10 };

/* Caller's struct. */
typedef struct esp_train_report {
  const char *objective, *held_out_objective; // names; the second NULL: nothing is held out
  int64_t epochs;                             // begun
  int64_t retries;                            // from the start, each with a quarter of the rate
  int64_t steps, planned;                     // made, and asked for
  int64_t parameters, trainable;              // of the model
  int64_t held_out_targets;
  int64_t best_step; // whose weights are left; the last one where nothing is held out
  int n_points;
  esp_train_point *points; // owned
  struct {
    const char *name;         // NULL: no policy, and nothing here is set
    bool is_frozen;           // what does not live is there all the same: it does not train
    bool by_units, is_final;  // whether the policy has done what was asked
    double asked, sparsity;   // NAN: the policy finds it; of the weights that are left
    int64_t irrelevance_step; // 0: no policy has counted
    int64_t irrelevance[ESP_TRAIN_BINS]; // weights, or units, that live by exp(-|g| / alpha)
    int n;
    esp_pruned_part *parts; // owned
  } policy;
} esp_train_report;

void esp_train_report_clear(esp_train_report *self);
/* The point behind a step, else the last; there is one at least. Local. */
const esp_train_point *esp_train_report_find(const esp_train_report *self, int64_t step);
/* {"steps", "curve", ...}, a new reference; docs/report.md. Local. */
json_t *esp_train_report_dump(const esp_train_report *self);

ESP_C_END

#endif
