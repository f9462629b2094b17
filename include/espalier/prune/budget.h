/* Budgets: what the pruned model may have or must reach, instead of a sparsity. The smallest
 * sparsity that meets all of them is looked for. Each is one file, one row in src/prune/budgets.c.
 */
#ifndef ESPALIER_PRUNE_BUDGET_H
#define ESPALIER_PRUNE_BUDGET_H

#include "espalier/core/c_linkage.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

ESP_C_BEGIN

typedef struct esp_budget_kind esp_budget_kind;
enum { ESP_MOST_BUDGETS = 3, ESP_TIME_POINTS = 9 };

typedef struct esp_budget_limit {
  const esp_budget_kind *kind;
  double asked, dense, got; // of the request, the dense model, what is kept
  bool binds;               // a step less would not meet it
} esp_budget_limit;

/* Seconds of a pass through the stages of one work, by units. */
typedef struct esp_stage_times {
  int stage; // the first of them
  int n;
  int64_t kept[ESP_TIME_POINTS]; // (n) ascending
  double seconds[ESP_TIME_POINTS];
} esp_stage_times;

typedef struct esp_time_table {
  int n_works, *work_of;  // (n_stages), owned
  esp_stage_times *works; // (n_works), owned
  double embed_s, head_s;
} esp_time_table;

typedef struct esp_prune_budget {
  int n;
  esp_budget_limit limits[ESP_MOST_BUDGETS];
  double sparsity;      // found: of the units that share it
  double unaligned;     // parameters that it would leave without --multiple-of; below 0: the same
  esp_time_table times; // n_works 0: no budget of time
  double measured;      // speed-up of the result; 0: not measured
} esp_prune_budget;

/* The name of an option without its dashes, "max-parameters". Local. */
const char *esp_budget_name(const esp_budget_limit *limit);
/* Free; NULL inside is fine. Local. */
void esp_budget_free(esp_prune_budget **budget);
/* A number so that reading it gives the same bits, in as few digits as do. */
typedef struct esp_budget_number {
  char text[32];
} esp_budget_number;
esp_budget_number esp_budget_format(double value);
/* As a report has it: with what was measured of the result, or without. A new reference. Local. */
json_t *esp_budget_dump(const esp_prune_budget *self, bool with_measured);

ESP_C_END

#endif
