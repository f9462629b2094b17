/* One reader of the units under forward selection: what the choice of each would tell it. */
#ifndef ESPALIER_SELECT_APPRAISAL_H
#define ESPALIER_SELECT_APPRAISAL_H

#include "gaussian.h"
#include "schur.h"

typedef struct appraisal {
  char site[64];
  esp_evidence evidence; // its arrays are read by appraisal_new only
  esp_gaussian gaussian;
  int64_t units, width, outputs;
  double weight;    // of the gains among several readers', 1 for one alone
  esp_schur schur;  // S
  double *blocks;   // (U, w, w) current diagonal blocks of S
  double *floor;    // (F) of their pivots
  double *cross;    // (F, P) C
  double *variance; // (P)
  double *least;    // (P) below which an output is explained
  double *inverse;  // (P) of variance, 0 once explained
  double *gain;     // (U), nats; of units not yet chosen
  double *columns;  // (stride, w)
  double *t;        // (w, w)
  double *chosen;   // (w, P) Z of the unit last chosen
  double *z;        // (w, P) of the unit being appraised
  double *share;    // (P) what the unit last appraised takes of each variance
  double *fixed;    // (U, P) M^T where the map is not refitted, else NULL
} appraisal;

/* Appraise every unit. NUMERIC. Local. */
esp_status appraisal_new(const esp_evidence *evidence, appraisal **part);
void appraisal_free(appraisal **part);
/* Make one, which stays, and choose all units. Local. */
void appraisal_add_cost(const esp_criterion_shape *shape, esp_cost *cost);
/* Whether no feature of the unit varies. Local. */
bool appraisal_is_dead(const appraisal *self, int64_t unit);
/* Condition on a unit, and appraise those that are left. Local. */
void appraisal_choose(appraisal *self, int64_t g);

#endif
