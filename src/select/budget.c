#include "espalier/select/budget.h"

#include "espalier/core/hash.h"
#include "espalier/core/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t round_up(int64_t count, int64_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

int64_t esp_budget_uniform(const esp_budget_rule *rule, int64_t units) {
  const int64_t multiple = rule->multiple_of > 1 ? rule->multiple_of : 1;
  if (rule->sparsity <= 0 || units <= multiple) return units;
  /* 1e-9: 10 (1 - 0.85) must be the tie it is on paper. */
  const double steps = (double)units * (1 - rule->sparsity) / (double)multiple;
  const int64_t keep = (int64_t)floor(steps + 0.5 + 1e-9) * multiple;
  const int64_t least = round_up(rule->min_keep > 1 ? rule->min_keep : 1, multiple);
  const int64_t wanted = keep > least ? keep : least;
  return wanted < units ? wanted : units;
}

static int compare_indices(const void *left, const void *right) {
  const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

void esp_keep_first(const int64_t *order, int64_t keep, int64_t *kept) {
  if (keep <= 0) return;
  memcpy(kept, order, (size_t)keep * sizeof *kept);
  qsort(kept, (size_t)keep, sizeof *kept, compare_indices);
}

uint64_t esp_selection_checksum(uint64_t chain, const char *site, int64_t units,
                                const int64_t *kept, int64_t n_kept) {
  const int64_t sizes[] = {units, n_kept};
  chain = esp_hash_text(chain, site);
  chain = esp_hash(chain, sizes, sizeof sizes);
  return esp_hash(chain, kept, (size_t)n_kept * sizeof *kept);
}
