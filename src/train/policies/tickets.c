/* Lottery tickets [Frankle and Carbin 2019, Renda et al. 2020]: a level takes the model of the
 * level before, prunes a part of what it has left by the magnitude of its trained weights, and
 * trains again: from the weights of an early step (--rewind), or from where they are with the whole
 * schedule again. Controls: a random mask of the same counts, and new random weights. */
#include "policies.h"
#include "start.h"

#include "ranking.h"
#include "rewind.h"

#include "espalier/core/memory.h"
#include "espalier/core/rng.h"

#include <math.h>
#include <string.h>

enum { STREAM_WEIGHTS = 0x7a4d03, STREAM_UNITS = 0x7a4d100 };

static bool has_control(const training *self, const char *name) {
  return strcmp(self->pruning.options->control, name) == 0;
}

/* What this level keeps of all, so that exactly a part of what lives now goes. */
static double find_sparsity(const training *self) {
  const train_pruning *pruning = &self->pruning;
  const int64_t all = pruning->by_units ? pruning->units.n : pruning->n_prunable;
  const double left = 1.0 - pruning->options->prune_fraction;
  return 1.0 - nearbyint(left * (double)pruning->live) / (double)all;
}

static void prune_weights(training *self) {
  train_pruning *pruning = &self->pruning;
  float *scores = ESP_NEW(float, self->parts.n_own);
  start_copy_magnitudes(self, scores);
  pruning_keep_weights(self->comm, pruning, scores, pruning->mask, find_sparsity(self));
  esp_free(&scores);
}

static void prune_units(training *self) {
  train_pruning *pruning = &self->pruning;
  double *scores = ESP_NEW(double, pruning->units.n);
  pruning_compute_unit_squares(self->comm, pruning, scores);
  pruning_keep_units(self->comm, pruning, scores, pruning->alive, find_sparsity(self));
  esp_free(&scores);
}

static void draw_scores(const training *self, float *scores) {
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    for (int64_t i = 0; i < run->n; i++)
      scores[run->own + i] =
          (float)esp_rng_uniform(self->request->seed, STREAM_WEIGHTS, (uint64_t)(run->place + i));
  }
}

/* As many of every matrix as the ticket has, anywhere in it. */
static void shuffle_weights(training *self) {
  train_pruning *pruning = &self->pruning;
  int64_t *keep = ESP_NEW(int64_t, pruning->n_matrices);
  float *scores = ESP_NEW(float, self->parts.n_own);
  ranking of = {.parts = &self->parts,
                .scores = scores,
                .among = pruning->mask,
                .set_of = pruning->matrix_of,
                .n_sets = pruning->n_matrices,
                .keep = keep};
  ranking_count(self->comm, &of, keep);
  draw_scores(self, scores);
  of.among = NULL;
  ranking_mark_largest(self->comm, &of, pruning->mask);
  esp_free(&scores);
  esp_free(&keep);
}

static void shuffle_site(training *self, int s) {
  const units_site *site = &self->pruning.units.sites[s];
  uint8_t *alive = self->pruning.alive + site->first;
  int64_t *order = ESP_NEW(int64_t, site->n), live = 0;
  for (int64_t u = 0; u < site->n; u++) {
    live += alive[u];
    alive[u] = 0;
  }
  esp_rng_permutation(self->request->seed, STREAM_UNITS + (uint64_t)s, site->n, order);
  for (int64_t k = 0; k < live; k++) alive[order[k]] = 1;
  esp_free(&order);
}

static void shuffle(training *self) {
  if (!self->pruning.by_units) shuffle_weights(self);
  for (int s = 0; s < self->pruning.units.n_sites; s++) shuffle_site(self, s);
}

static esp_status set_weights(training *self) {
  if (has_control(self, "reinitialised")) return rewind_to_random(self);
  return self->request->rewind ? rewind_to_model(self) : ESP_OK;
}

static esp_status begin(training *self) {
  if (self->pruning.by_units)
    prune_units(self);
  else
    prune_weights(self);
  if (has_control(self, "random")) shuffle(self);
  ESP_TRY(set_weights(self));
  pruning_apply(self->comm, &self->pruning);
  return ESP_OK;
}

static esp_status check_local(const training *self) {
  const bool rewinds = self->request->rewind;
  if (rewinds && has_control(self, "reinitialised"))
    return esp_fail(ESP_USAGE, "--control reinitialised: expected no --rewind, found one: weights "
                               "are new; leave one of them out");
  if (!rewinds && !self->pruning.by_units && has_control(self, "random"))
    return esp_fail(ESP_USAGE,
                    "--control random: expected --rewind MODEL, found none: the weights of its "
                    "mask that the level before has pruned have no values");
  return rewinds ? rewind_check_local(self) : ESP_OK;
}

static const char *const options[] = {"distribution", "min-keep", "prune-fraction",
                                      "rewind",       "control",  NULL};

const policy policy_tickets = {.name = "tickets",
                               .granularities = POLICY_WEIGHTS | POLICY_UNITS,
                               .masked = POLICY_ZERO,
                               .prunes_once = true,
                               .sets_sparsity = true,
                               .distribution = "global",
                               .unit_distribution = "uniform", // norms of sites differ
                               .defaults = {.prune_fraction = 0.2},
                               .options = options,
                               .check_local = check_local,
                               .begin = begin};
