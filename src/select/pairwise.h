/* Forward selection by pairs of units [Brown et al., JMLR 2012]: relevance less what the units
 * already chosen say too. */
#ifndef ESPALIER_SELECT_PAIRWISE_H
#define ESPALIER_SELECT_PAIRWISE_H

#include "joint.h"

/* What tells the criteria of the family apart. */
typedef struct pairwise_form {
  bool is_conditional; // overlap is I(x_i;x_s) - I(x_i;x_s|Y); else I(x_i;x_s)
  bool is_worst;       // the largest overlap with a chosen unit counts; else the mean
} pairwise_form;

/* One reader's, or the sum of several readers', relevance (U) and overlap (U, U). */
typedef struct pairwise pairwise;

/* Relevance, redundancy and conditional information as means over a unit's features and pairs of
 * features, so that heads and neurons are alike. NUMERIC: not finite. Local. */
esp_status pairwise_new(const pairwise_form *form, const esp_evidence *evidence, pairwise **self);
void pairwise_free(pairwise **self);
/* Add a reader, all its terms divided by the sum of its relevances, to *sum, which may be NULL: a
 * joint rule's add. */
esp_status pairwise_add(const pairwise_form *form, const esp_evidence *reader, joint_part **sum);
/* Greedy selection, O(U^2): order and score as esp_criterion.rank gives them; a score is the
 * least J so far, nats (of one reader), and may be negative. Local. */
esp_status pairwise_select(const pairwise_form *form, const pairwise *self, int64_t *order,
                           double *score);

/* The same for a criterion's table row. */
esp_status pairwise_rank(const pairwise_form *form, const esp_evidence *evidence, int64_t *order,
                         double *score);
esp_status pairwise_rank_sum(const pairwise_form *form, joint_part **parts, int n, int64_t *order,
                             double *score);
void pairwise_free_sum(joint_part **sum);

#endif
