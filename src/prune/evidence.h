/* What a criterion is shown of a site: gathered by all ranks, owned by one. */
#ifndef ESPALIER_SRC_PRUNE_EVIDENCE_H
#define ESPALIER_SRC_PRUNE_EVIDENCE_H

#include "ranking.h"

/* Owns the arrays that an esp_evidence borrows. The large ones are on one rank only, the owner. */
typedef struct site_evidence {
  double *covariance;                    // (F, F), owner
  float *fisher;                         // (state_out, state_out), owner, until applied to the map
  float *map;                            // (outputs, F), owner
  double *moments;                       // (4, F): mean, variance, norm, activation
  double *producer_norm, *consumer_norm; // (U), owner
} site_evidence;

/* Whether what a criterion reads of a stage depends on what was kept above it. Local. */
bool evidence_depends_on_selection(const esp_prune_request *request, const esp_selection *above,
                                   int stage);

/* Information of a stage's planes with the units above into self->information, unless it is there;
 * and drop it. Collective; local. */
esp_status information_count(ranker *self, int stage);
void information_drop(ranker *self);

/* Gather what the criterion needs to rank a stage, of the weights alone without statistics: what is
 * read by all ranks together, then the rest, on the owner alone. Between the two others may read
 * for theirs. Collective; local. */
esp_status evidence_read(ranker *self, int stage, int owner, site_evidence *site);
esp_status evidence_complete_local(ranker *self, int stage, site_evidence *site,
                                   esp_evidence *evidence);
/* What is known without: the names and sizes of a stage. Local. */
esp_evidence evidence_of_sizes(const ranker *self, int stage);
/* The same of the residual stream as a stage, or the head, reads it, given the selection of all
 * stages: a reader. producer_norm is left to the caller. Collective. */
typedef struct reader_evidence {
  site_evidence site; // the covariance on its owner
  site_information information;
  esp_evidence evidence;
} reader_evidence;
esp_status evidence_gather_reader(ranker *self, int stage, int owner, reader_evidence *reader);
void evidence_clear_reader(reader_evidence *reader);
/* Parts of the two: moments, covariance, and the loan of what was gathered. Local, collective,
 * local. */
void evidence_copy_moments(const esp_site_stats *stats, site_evidence *site);
esp_status evidence_gather_covariance(ranker *self, const esp_site_stats *stats, int owner,
                                      site_evidence *site);
void evidence_lend(const site_evidence *site, int64_t features, esp_evidence *evidence);
void evidence_clear(site_evidence *site);

/* Change a stage's map, gathered, to the metric in use. NUMERIC. Local. */
esp_status evidence_apply_metric_local(const ranker *self, int stage, site_evidence *site);

/* Information of the planes of what a stage, or the head, reads of the stream, with its own site
 * above. Collective. */
esp_status information_gather_reader(ranker *self, int stage, const esp_planes *planes,
                                     site_information *information);
/* Redundancy and conditional information as far as the criterion needs them, once values are there;
 * planes without noise, and those of the units preserved above. Collective. */
void information_add_pairs(const ranker *self, const esp_planes *planes, const esp_planes *upper,
                           site_information *information);
void information_lend(const site_information *self, esp_evidence *evidence);
void information_clear(site_information *self);

/* Euclidean norms of each unit's producers and consumers, (U) each; the stage is loaded once.
 * Local.
 */
esp_status norms_compute_local(esp_model *model, int stage, double *producers, double *consumers);
/* Norms of what writes each hidden dimension: columns of the embedding, rows of the consumers; (D).
 * Local. */
esp_status norms_compute_writers_local(esp_model *model, double *norms);

#endif
