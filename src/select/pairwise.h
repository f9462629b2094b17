/* Forward selection by pairs of units [Brown et al., JMLR 2012]: relevance less what the units
 * already chosen say too. */
#ifndef ESPALIER_SELECT_PAIRWISE_H
#define ESPALIER_SELECT_PAIRWISE_H

#include "joint_rule.h"

/* What tells the criteria of the family apart. */
typedef struct pairwise_form {
  bool is_conditional; // overlap is I(x_i;x_s) - I(x_i;x_s|Y); else I(x_i;x_s)
  bool is_worst;       // the largest overlap with a chosen unit counts; else the mean
} pairwise_form;

/* Greedy selection, O(U^2): order and score as esp_criterion.rank gives them; a score is the least
 * J so far, nats (of one reader), and may be negative. Relevance, redundancy and conditional
 * information are means over a unit's features and pairs of features, so that heads and neurons are
 * alike. NUMERIC: not finite. Local. */
esp_status pairwise_rank(const pairwise_form *form, const esp_evidence *evidence, int64_t *order,
                         double *score);

/* Of a joint rule. A reader is added with all its terms divided by the sum of its relevances. */
esp_status pairwise_add(const pairwise_form *form, const esp_evidence *reader, joint_part **sum);
esp_status pairwise_rank_sum(const joint_readers *sum, int64_t *order, double *score);
void pairwise_free_sum(joint_part **sum);
/* Of one reader; of one site alone. */
void pairwise_add_reader_cost(const esp_criterion_shape *shape, esp_cost *cost);
void pairwise_add_cost(const esp_criterion_shape *shape, esp_cost *cost);

/* Define `rank` and `rule` of a criterion of the family, whose form is named. */
#define PAIRWISE_DEFINE(form)                                                           \
  static esp_status rank(const esp_evidence *evidence, int64_t *order, double *score) { \
    return pairwise_rank(&(form), evidence, order, score);                              \
  }                                                                                     \
  static esp_status add_reader(const esp_evidence *reader, joint_part **sum) {          \
    return pairwise_add(&(form), reader, sum);                                          \
  }                                                                                     \
  static const joint_rule rule = {.add = add_reader,                                    \
                                  .rank = pairwise_rank_sum,                            \
                                  .free = pairwise_free_sum,                            \
                                  .cost = pairwise_add_reader_cost,                     \
                                  .is_summed = true}

#endif
