/* The rows of the table in criteria.c. */
#ifndef ESPALIER_SELECT_CRITERIA_H
#define ESPALIER_SELECT_CRITERIA_H

#include "espalier/select/criterion.h"

extern const esp_criterion esp_criterion_wanda, esp_criterion_flap;
extern const esp_criterion esp_criterion_leverage, esp_criterion_activation;
extern const esp_criterion esp_criterion_random;
extern const esp_criterion esp_criterion_magnitude;
extern const esp_criterion esp_criterion_mi, esp_criterion_mi_mrmr;
extern const esp_criterion esp_criterion_mi_jmi, esp_criterion_mi_cmim;
extern const esp_criterion esp_criterion_max_entropy;
extern const esp_criterion esp_criterion_set_mi;
extern const esp_criterion esp_criterion_set_mi_forward;
extern const esp_criterion esp_criterion_layer_information, esp_criterion_layer_cosine;

/* Of whole layers: order by -values (U), which `what` names. NUMERIC: not finite. */
esp_status criteria_rank_layers(const esp_evidence *evidence, const double *values,
                                const char *what, int64_t *order, double *score);

/* Keep what the BLAS keeps of what it packs of (n, n) matrices in double precision. */
void criteria_keep_packed(double n, esp_cost *cost);
/* The sum over outputs of what a feature's weights give. */
void criteria_add_map_cost(const esp_criterion_shape *shape, esp_cost *cost);

/* set-mi's elimination, which other criteria run on statistics of their own. Local. */
esp_status esp_rank_backward(const esp_evidence *evidence, int64_t *order, double *score);
/* The same by a team. Collective on team. */
esp_status esp_rank_backward_by_team(const esp_comm *team, const esp_evidence *evidence,
                                     int64_t *order, double *score);
extern const esp_joint_rule esp_joint_backward;
void esp_rank_backward_cost(const esp_criterion_shape *shape, esp_cost *cost);

#endif
