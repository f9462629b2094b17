/* How many units a site keeps. Pure. allocation.h divides among sites. */
#ifndef ESPALIER_SELECT_BUDGET_H
#define ESPALIER_SELECT_BUDGET_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/status.h"

#include <stdint.h>

ESP_C_BEGIN

typedef struct esp_budget_rule {
  double sparsity;     // fraction removed, [0, 1)
  int64_t multiple_of; // kept counts are multiples of it (a site smaller than it is kept whole)
  int64_t min_keep;    // at least this many units stay, >= 1
} esp_budget_rule;

/* Keep U (1 - sparsity) units, rounded once to the nearest multiple (ties up), at least min_keep
 * rounded up to a multiple, at most U; sparsity 0 keeps all, also where U is no multiple. Every
 * site the same fraction: `uniform`. Never more at a higher sparsity. Local. */
int64_t esp_budget_uniform(const esp_budget_rule *rule, int64_t units);

/* Write the kept units order[0..keep) in ascending order to kept (keep). Local. */
void esp_keep_first(const int64_t *order, int64_t keep, int64_t *kept);

/* Checksum of a selection, chained over sites: hash of the site's name, its size and the kept
 * indices. Local. */
uint64_t esp_selection_checksum(uint64_t chain, const char *site, int64_t units,
                                const int64_t *kept, int64_t n_kept);

ESP_C_END

#endif
