/* What units of a site tell about each other, alone and given some of the units preserved above
 * (the targets): for criteria that select by pairs. */
#include "pipeline.h"

#include "espalier/core/memory.h"
#include "espalier/sweep/sweep.h"

#include <string.h>

/* Sums of a site's information with each preserved unit above, (n_upper). */
static double *sum_columns(const site_information *self) {
  double *sum = ESP_NEW(double, self->n_upper);
  for (int64_t i = 0; i < self->features; i++)
    for (int64_t j = 0; j < self->n_upper; j++) sum[j] += self->values[i * self->n_upper + j];
  return sum;
}

/* The preserved units above that tell most about the site; ties by lowest index. */
static void choose_targets(const prune_job *job, site_information *self) {
  double *sum = sum_columns(self);
  const int64_t wanted = job->settings->prune.targets;
  self->n_targets = wanted < self->n_upper ? wanted : self->n_upper;
  self->targets = ESP_NEW(int64_t, self->n_targets);
  for (int64_t t = 0; t < self->n_targets; t++) {
    int64_t best = 0;
    for (int64_t j = 1; j < self->n_upper; j++)
      if (sum[j] > sum[best]) best = j;
    self->targets[t] = best;
    sum[best] = -1.0;
  }
  esp_free(&sum);
}

static esp_planes copy_targets(const site_information *self, const esp_planes *upper) {
  esp_planes targets;
  esp_planes_init(&targets, self->n_targets, upper->bins, upper->n_words);
  const int64_t planes = upper->bins - 1;
  for (int64_t t = 0; t < self->n_targets; t++)
    for (int64_t p = 0; p < planes; p++)
      memcpy(targets.words + (t * planes + p) * targets.stride,
             upper->words + (self->targets[t] * planes + p) * upper->stride,
             (size_t)upper->n_words * sizeof *upper->words);
  return targets;
}

void information_add_pairs(prune_job *job, const esp_planes *planes, const esp_planes *upper,
                           site_information *self) {
  const int64_t n = planes->units;
  if (job->criterion->needs & ESP_NEEDS_REDUNDANCY) {
    self->redundancy = ESP_NEW(float, n *n);
    esp_sweep_information(job->comm, planes, planes, job->stats->rows,
                          esp_sweep_find_reduce(job->settings->sweep.reduce), self->redundancy);
  }
  if (job->criterion->needs & ESP_NEEDS_CONDITIONAL) {
    choose_targets(job, self);
    esp_planes targets = copy_targets(self, upper);
    self->conditional = ESP_NEW(float, n *n);
    esp_sweep_conditional(job->comm, planes, &targets, job->stats->rows,
                          esp_sweep_find_reduce(job->settings->sweep.reduce), self->conditional);
    esp_planes_clear(&targets);
  }
}
