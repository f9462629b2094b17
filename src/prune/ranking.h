/* What the ranker, and what gathers evidence for it, share. */
#ifndef ESPALIER_SRC_PRUNE_RANKING_H
#define ESPALIER_SRC_PRUNE_RANKING_H

#include "prune_journal.h"
#include "rules.h"

#include "espalier/comm/phases.h"

enum { NOISE_UNITS = 16 }; // injected, whose information gives the null level

/* Joint information of a site's features with the preserved units above it. */
typedef struct site_information {
  float *values;                   // (features + NOISE_UNITS, n_upper) on every rank
  float *redundancy, *conditional; // (features, features) where the criterion needs them, likewise
  int64_t *targets, n_targets;     // of conditional: columns of values
  int64_t features, n_upper;
  double null_level[NOISE_UNITS]; // mean information of a noise unit with the units above
} site_information;

/* Sites are numbered as in request.h: the stages', then the width (n = n_stages). */
typedef struct ranker {
  const esp_comm *comm;
  const esp_prune_request *request;
  esp_stats *stats;           // or a half of them; NULL: nothing reads any
  const esp_selection *above; // what is kept so far
  prune_journal *journal;
  esp_phases *phases; // NULL: not told apart
  bool *is_asked;     // (n + 1) sites that are to be ranked
  int64_t **order;    // (n + 1): (units) from most to least important; NULL: not ranked yet
  double **scores;    // (n + 1): (units)
  double *whole;      // (n) nats that all units of a stage cost together; below 0: not priced
  int *n_ranked;      // (n) how often each was ranked
  site_information information; // of one stage, while it is ranked and reported
  int information_stage;        // that stage; -1: none
} ranker;

/* Begin or go on with a phase. Local. */
static inline void ranker_begin_phase(const ranker *self, const char *name) {
  if (self->phases) esp_phases_begin(self->phases, name);
}

#endif
