/* One reader of the units under backward elimination: what the removal of each would cost it. */
#ifndef ESPALIER_SELECT_ELIMINATION_H
#define ESPALIER_SELECT_ELIMINATION_H

#include "gaussian.h"
#include "schur.h"

typedef struct elimination {
  char site[64];
  esp_evidence evidence; // its arrays are read by elimination_new only
  esp_gaussian gaussian;
  int64_t units, width;
  double *fixed;   // (U, U) M^T M o G where the map is not refitted, else NULL
  double weight;   // of the costs among several readers', 1 for one alone
  esp_schur schur; // A and, as its twin, Q
  double *a, *q;   // (U, w, w) current diagonal blocks
  double *cost;    // (U), -1 for a dead unit: it goes before all others
  double *columns; // (stride, w)
  double *t, *h;   // (w, w)
  double *floor;   // (w)
} elimination;

/* Invert, and price every unit. NUMERIC. Local. */
esp_status elimination_new(const esp_evidence *evidence, elimination **part);
void elimination_free(elimination **part);
/* Make one, which stays, and take all units out. Local. */
void elimination_add_cost(const esp_criterion_shape *shape, esp_cost *cost);
/* Whether no feature of the unit varies. Local. */
bool elimination_is_dead(const elimination *self, int64_t unit);
/* Take a unit out, and price those that are left. NUMERIC. Local. */
esp_status elimination_remove(elimination *self, int64_t g);

#endif
