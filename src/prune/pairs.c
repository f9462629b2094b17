/* What units of a site tell about each other, alone and given some of the units preserved above
 * (the targets): for criteria that select by pairs. */
#include "evidence.h"

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
static void choose_targets(const ranker *self, site_information *information) {
  double *sum = sum_columns(information);
  const int64_t wanted = self->request->settings->prune.targets;
  information->n_targets = wanted < information->n_upper ? wanted : information->n_upper;
  information->targets = ESP_NEW(int64_t, information->n_targets);
  for (int64_t t = 0; t < information->n_targets; t++) {
    int64_t best = 0;
    for (int64_t j = 1; j < information->n_upper; j++)
      if (sum[j] > sum[best]) best = j;
    information->targets[t] = best;
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

void information_add_pairs(const ranker *self, const esp_planes *planes, const esp_planes *upper,
                           site_information *information) {
  const unsigned needs = self->request->criterion->needs;
  const int64_t n = planes->units;
  if (needs & ESP_NEEDS_REDUNDANCY) {
    information->redundancy = ESP_NEW(float, n *n);
    esp_sweep_information(self->comm, planes, planes, self->stats->rows, self->request->reduce,
                          information->redundancy);
  }
  if (needs & ESP_NEEDS_CONDITIONAL) {
    choose_targets(self, information);
    esp_planes targets = copy_targets(information, upper);
    information->conditional = ESP_NEW(float, n *n);
    esp_sweep_conditional(self->comm, planes, &targets, self->stats->rows, self->request->reduce,
                          information->conditional);
    esp_planes_clear(&targets);
  }
}
