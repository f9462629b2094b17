/* Units that several maps read at once (the hidden dimensions of a residual stream): the evidence
 * of one reader after the other, then one order of the units. */
#ifndef ESPALIER_SELECT_JOINT_H
#define ESPALIER_SELECT_JOINT_H

#include "espalier/core/c_linkage.h"
#include "espalier/select/criterion.h"

ESP_C_BEGIN

typedef struct esp_joint esp_joint;

/* USAGE: the criterion is greedy and has no joint form. Local. */
esp_status esp_joint_new(const esp_criterion *criterion, int64_t units, int readers,
                         esp_joint **joint);
/* Add a reader's evidence (borrowed for the call), `readers` times at most. Statuses of rank.
 * Local. */
esp_status esp_joint_add(esp_joint *self, const esp_evidence *reader);
/* Order and scores as the criterion's rank gives them, of the costs summed over the readers at
 * every step (set-mi), or of the scores summed, each reader's divided by their sum (ours). Once.
 * Local. */
esp_status esp_joint_rank(esp_joint *self, int64_t *order, double *score);
/* What a reader of these sizes takes, the first or another, and ranking by it; its part stays.
 * Local. */
void esp_joint_add_cost(const esp_criterion *criterion, const esp_criterion_shape *reader,
                        bool is_first, esp_cost *cost);
void esp_joint_free(esp_joint **joint);

ESP_C_END

#endif
