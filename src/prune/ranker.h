/* Ranking of sites from some statistics, against what is kept above them. */
#ifndef ESPALIER_SRC_PRUNE_RANKER_H
#define ESPALIER_SRC_PRUNE_RANKER_H

#include "ranking.h"

void ranker_init(ranker *self, const esp_comm *comm, const esp_prune_request *request,
                 prune_journal *journal);
void ranker_clear(ranker *self);

/* Rank a stage. If it does not depend on what is kept above it, batches of asked stages of that
 * kind are ranked, the widest first, until it is among them (teams.h). Fills order and scores, the
 * same at any rank count. NUMERIC, FORMAT, INTERRUPTED. Collective. */
esp_status ranker_rank(ranker *self, int stage);
/* Rank the hidden dimensions, by all readers of the stream together. Collective. */
esp_status ranker_rank_width(ranker *self);
#endif
