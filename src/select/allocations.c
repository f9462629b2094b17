#include "allocations.h"

#include "espalier/core/memory.h"
#include "espalier/core/named.h"

#include <math.h>

const esp_allocation *const esp_allocations[] = {&esp_allocation_uniform, &esp_allocation_balanced,
                                                 &esp_allocation_global, NULL};

esp_status esp_allocation_find(const char *name, const esp_allocation **allocation) {
  int i;
  ESP_TRY(esp_find_pointer("allocation", name, esp_allocations, &i));
  *allocation = esp_allocations[i];
  return ESP_OK;
}

static int64_t count_extent(const esp_allocation_matrix *matrix, int axis, const int64_t *units) {
  const int64_t fixed = matrix->fixed[axis], per_unit = matrix->per_unit[axis];
  if (matrix->site[axis] < 0) return fixed;
  const int64_t n = units[matrix->site[axis]];
  return per_unit == 0 && n == 0 ? 0 : fixed + per_unit * n;
}

int64_t esp_allocation_count(const esp_allocation_job *job, const int64_t *units) {
  int64_t count = 0;
  for (int m = 0; m < job->n_matrices; m++) {
    const esp_allocation_matrix *matrix = &job->matrices[m];
    count += count_extent(matrix, 0, units) * count_extent(matrix, 1, units);
  }
  return count;
}

void esp_order_by_groups(const int64_t *order, int64_t units, int64_t per_group, int64_t *grouped) {
  const int64_t n_groups = per_group > 1 ? units / per_group : 1;
  int64_t *taken = ESP_NEW(int64_t, n_groups);
  for (int64_t i = 0; i < units; i++) {
    const int64_t group = per_group > 1 ? order[i] / per_group : 0;
    grouped[taken[group]++ * n_groups + group] = order[i];
  }
  esp_free(&taken);
}

/* Nothing of it goes before the last unit of a site does. */
static bool goes_whole(const esp_allocation_matrix *matrix) {
  return matrix->per_unit[0] == 0 && matrix->per_unit[1] == 0;
}

/* Parameters of the matrices that shrink unit by unit, as they are. */
static double count_shrinking(const esp_allocation_job *job) {
  double count = 0.0;
  for (int m = 0; m < job->n_matrices; m++) {
    const esp_allocation_matrix *matrix = &job->matrices[m];
    double part = goes_whole(matrix) ? 0.0 : 1.0;
    for (int a = 0; a < 2; a++) {
      const int site = matrix->site[a];
      const int64_t units = site < 0 ? 0 : job->sites[site].units;
      part *= (double)(matrix->fixed[a] + matrix->per_unit[a] * units);
    }
    count += part;
  }
  return count;
}

void allocation_measure(esp_allocation_job *job) {
  int64_t *dense = ESP_NEW(int64_t, job->n_sites), *kept = ESP_NEW(int64_t, job->n_sites);
  for (int i = 0; i < job->n_sites; i++) {
    dense[i] = job->sites[i].units;
    kept[i] = job->sites[i].n_kept;
  }
  const int64_t gone = esp_allocation_count(job, dense) - esp_allocation_count(job, kept);
  const double all = count_shrinking(job);
  job->all = all;
  job->got = all > 0.0 ? 1.0 - (all - (double)gone) / all : 0.0;
  esp_free(&dense);
  esp_free(&kept);
}

bool allocation_is_enough(esp_allocation_job *job) {
  allocation_measure(job);
  return job->is_enough ? job->is_enough(job->budget, job) : job->got >= job->sparsity;
}

int64_t allocation_least(const esp_allocation_job *job, const esp_allocation_site *site) {
  const esp_budget_rule rule = {.sparsity = fmin(job->max_sparsity, 1.0 - 1e-12),
                                .multiple_of = site->rule.multiple_of,
                                .min_keep = site->rule.min_keep};
  const int64_t least = esp_budget_uniform(&rule, site->units), multiple = rule.multiple_of;
  const double cap = (double)site->units * (1.0 - job->max_sparsity) - 1e-9;
  if (site->may_vanish && job->max_sparsity >= 1.0) return 0;
  return (double)least < cap && least + multiple <= site->units ? least + multiple : least;
}

int64_t allocation_next(const esp_allocation_site *site, int64_t units) {
  const int64_t multiple = site->rule.multiple_of > 1 ? site->rule.multiple_of : 1;
  return (units - 1) / multiple * multiple;
}
