/* Options of a pruning: what can go, what it is worth, and how much of it goes. */
#ifndef ESPALIER_PRUNE_OPTIONS_H
#define ESPALIER_PRUNE_OPTIONS_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/options.h"

ESP_C_BEGIN

typedef struct esp_prune_options {
  char *stats;                                // STATS.h5; NULL: collected first
  char *sites, *heads, *structure;            // what can go
  char *criterion, *moments, *metric, *upper; // what it is worth
  double ridge;                               // of set-mi, relative to the mean variance
  int64_t targets;                            // that mi-jmi and mi-cmim condition on
  bool keep_stats;                            // OUT.stats.h5 with all that a collection has
  bool stability;                             // rank from each half of the samples too
  int64_t recover_tokens;                     // rows of training after the repair; 0: none
} esp_prune_options;
extern const esp_option_group esp_prune_option_group;

typedef struct esp_allocation_options {
  double sparsity, max_sparsity; // fractions
  char *name;
  int64_t trial_tokens;          // rows; 0: no counts are tried
  int64_t multiple_of, min_keep; // units; multiple_of 0: by the size of the site
  /* Budgets, instead of sparsity; 0: none. */
  int64_t max_parameters, max_bytes, cache_tokens;
  double min_speed_up;
} esp_allocation_options;
extern const esp_option_group esp_allocation_option_group;

ESP_C_END

#endif
