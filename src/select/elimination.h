/* One reader of the units under backward elimination: what the removal of each would cost it. The
 * ranks of a team may hold its matrices together (block_columns.h): the first has the evidence and
 * decides which units go, the others serve it. */
#ifndef ESPALIER_SELECT_ELIMINATION_H
#define ESPALIER_SELECT_ELIMINATION_H

#include "gaussian.h"
#include "schur.h"

typedef struct elimination {
  char site[64];
  const esp_comm *team;  // borrowed
  esp_evidence evidence; // its arrays are read by elimination_new only
  esp_gaussian gaussian; // of the first rank; of the others the sizes and the ridge
  int64_t units, width;
  double *fixed;   // (U, U) M^T M o G where the map is not refitted, else NULL
  double weight;   // of the costs among several readers', 1 for one alone
  esp_schur schur; // A and, as its twin, Q
  double *a, *q;   // (U, w, w) current diagonal blocks
  double *cost;    // (U), -1 for a dead unit: it goes before all others
  double *columns; // (stride, 2 w)
  double *t, *h;   // (w, w)
  double *floor;   // (w)
} elimination;

/* Invert, and price every unit.
 *   team      NULL: this process alone
 *   evidence  its arrays and outputs are read on the first rank alone; the other members on all
 * NUMERIC, on all ranks. Collective on the team. */
esp_status elimination_new(const esp_comm *team, const esp_evidence *evidence, elimination **part);
void elimination_free(elimination **part);
/* Make one, which stays, and take all units out; of the first rank of shape's. Local. */
void elimination_add_cost(const esp_criterion_shape *shape, esp_cost *cost);
/* How many times as fast so many ranks are: the columns of units that go, and their prices, are the
 * first rank's alone. Local. */
double elimination_speed(int64_t features, int ranks);
/* Whether no feature of the unit varies. Local. */
bool elimination_is_dead(const elimination *self, int64_t unit);
/* Take a unit out, and price those that are left. NUMERIC. Called by the first rank of the team,
 * which ends with elimination_finish; the others call elimination_serve, which returns then. */
esp_status elimination_remove(elimination *self, int64_t g);
void elimination_finish(elimination *self);
void elimination_serve(elimination *self);

#endif
