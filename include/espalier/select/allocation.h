/* How many units every site keeps. Allocations are one file each, one row in allocations.c; pure
 * functions of arrays, without a notion of models. */
#ifndef ESPALIER_SELECT_ALLOCATION_H
#define ESPALIER_SELECT_ALLOCATION_H

#include "espalier/core/c_linkage.h"
#include "espalier/select/budget.h"

#include <stdbool.h>

ESP_C_BEGIN

/* A matrix that sites shrink: its extent along an axis is fixed + per_unit * (units of site);
 * per_unit 0: fixed, until the site's last unit goes, which takes all of it. */
typedef struct esp_allocation_matrix {
  int site[2]; // -1: none
  int64_t fixed[2], per_unit[2];
} esp_allocation_matrix;

typedef struct esp_allocation_site {
  const char *name;
  const char *kind;     // sites of one kind and size are alike
  int64_t units;        // U
  int64_t per_group;    // units of a group; all groups keep equally many; 1: no groups
  esp_budget_rule rule; // sparsity of the units; with groups multiple_of is their number
  bool is_fixed;        // its sparsity was asked for in person: no allocation changes it
  const int64_t *order; // (U) the criterion's, borrowed; and score (U)
  const double *score;
  bool may_vanish; // all its units may go where max_sparsity is 1, whatever the rule keeps
  double whole;    // what all units cost together, in nats; below 0: the sum of the scores
  int64_t n_kept;  // the result
} esp_allocation_site;

/* What is lost with the n_kept of all sites as they stand, nats a target, by cutting and trying;
 * the same on all ranks. Collective. */
typedef struct esp_allocation_job esp_allocation_job;
typedef esp_status (*esp_allocation_trial)(void *context, const esp_allocation_job *job,
                                           double *loss);

struct esp_allocation_job {
  double sparsity;     // asked, as got
  double max_sparsity; // most that a site may lose of its units, 1: all but what the rule keeps
  bool is_in_nats;     // scores have one unit at all sites; else they are divided by their sum
  int n_sites, n_matrices;
  esp_allocation_site *sites;
  const esp_allocation_matrix *matrices;
  esp_allocation_trial trial; // NULL: nothing can be tried
  void *context;              // of the trial
  /* Whether enough is gone with the n_kept of all sites as they stand: asked instead of `sparsity`;
   * fewer units are never less. NULL: the sparsity says it. */
  bool (*is_enough)(const void *budget, const esp_allocation_job *job);
  const void *budget;
  double threshold; // result of `global`: price of the last step taken
  double all;       // result: parameters of the matrices that shrink unit by unit, as they are
  double got;       // result: parameters removed, by those of the matrices that shrink unit by unit
};

typedef struct esp_allocation {
  const char *name; // "uniform", "balanced", "global"
  const char *summary;
  bool needs_scores; // all sites must be ranked first
  bool needs_trial;
  bool is_by_price; // scores are prices: in nats best; sites that may vanish do where it is cheap
  /* Fill n_kept of all sites, threshold and got. USAGE: what is asked cannot be reached. Local, but
   * collective where it needs trials. */
  esp_status (*apply)(esp_allocation_job *job);
} esp_allocation;

/* Find; USAGE names the known ones. */
esp_status esp_allocation_find(const char *name, const esp_allocation **allocation);
extern const esp_allocation *const esp_allocations[];

/* Parameters of the matrices with units[i] units at site i. Local. */
int64_t esp_allocation_count(const esp_allocation_job *job, const int64_t *units);

/* Reorder so that the first K units are the kept ones for every K that is a multiple of the number
 * of groups: the best of every group, then the second best, and so on. per_group 1 copies. */
void esp_order_by_groups(const int64_t *order, int64_t units, int64_t per_group, int64_t *grouped);

ESP_C_END

#endif
