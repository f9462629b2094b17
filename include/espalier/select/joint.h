/* Units that several maps read at once (the hidden dimensions of a residual stream): the evidence
 * of one reader after the other, then one order of the units. */
#ifndef ESPALIER_SELECT_JOINT_H
#define ESPALIER_SELECT_JOINT_H

#include "espalier/core/c_linkage.h"
#include "espalier/select/criterion.h"

ESP_C_BEGIN

typedef struct esp_joint esp_joint;

/* The ranks of a team hold the readers in turn where the criterion can share them, which is then so
 * much faster; the first rank has all of another's. A team of NULL is this process alone, and all
 * functions are then local. USAGE: the criterion is greedy and has no joint form. Local.
 *   team  borrowed */
esp_status esp_joint_new_local(const esp_comm *team, const esp_criterion *criterion, int64_t units,
                               int readers, esp_joint **joint);
/* The rank that takes the next reader. Local. */
int esp_joint_get_owner(const esp_joint *self);
/* Add a reader, `readers` times at most: its owner gives the evidence (borrowed for the call), the
 * others NULL. Statuses of rank, of the owner. Local. */
esp_status esp_joint_add(esp_joint *self, const esp_evidence *reader);
/* Order and scores on the first rank as the criterion's rank gives them, of the costs summed over
 * the readers at every step (set-mi), or of the scores summed, each reader's divided by their sum
 * (ours). Same bits for any team. Once. Collective on the team, and so is the status. */
esp_status esp_joint_rank(esp_joint *self, int64_t *order, double *score);
/* What a reader of these sizes takes, the first or another, and ranking by it; its part stays.
 * Local. */
void esp_joint_add_cost(const esp_criterion *criterion, const esp_criterion_shape *reader,
                        bool is_first, esp_cost *cost);
/* Whether ranks hold readers in turn; what each of so many then sends. Local. */
bool esp_joint_is_shared(const esp_criterion *criterion);
void esp_joint_add_traffic(int64_t units, int readers, int ranks, esp_cost *cost);
void esp_joint_free(esp_joint **joint);

ESP_C_END

#endif
