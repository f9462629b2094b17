/* The units that a policy may take away while a model trains: neurons, heads or groups of heads. A
 * unit's gate is on its activation, so that a unit whose gate is 0 has zeros in the columns of its
 * consumers, while its producers stay as they are: it can come back. */
#ifndef ESPALIER_SRC_TRAIN_UNITS_H
#define ESPALIER_SRC_TRAIN_UNITS_H

#include "parts.h"

typedef struct units_site {
  int stage;
  int64_t first, n; // among all units
} units_site;

/* Caller's struct. */
typedef struct train_units {
  const train_parts *parts; // borrowed
  int n_sites;
  units_site *sites; // (n_sites)
  int64_t n;         // units of all sites
  int32_t *consumed; // (n_own) the unit whose activation a value multiplies; -1: none
  int32_t *produced; // (n_own) the unit that a value makes; -1: none
} train_units;

/* Whole groups become the units of the model's stages. Local, equal on all ranks. */
void units_merge_groups(esp_model *model);
/* Whether a site is one of those named (patterns of names and kinds); NULL: all are. Local. */
bool units_is_asked(const esp_stage *site, const char *kinds);
/* That each of those words names a site. USAGE lists the kinds. Local, equal on all ranks. */
esp_status units_check_kinds_local(const esp_model *model, const char *kinds);
/* The units of all sites that are asked for and whose consumers train. Local, equal on all ranks.
 */
void units_lay_out(train_units *self, const train_parts *parts, const char *kinds);
/* Elements of the matrices that go with one unit of a site. Local. */
double units_count_products(const train_units *self, const units_site *site);
/* The maps of this rank's values. Local. */
void units_init(train_units *self);
void units_clear(train_units *self);

/* Set sums (n) to the sums over values of each unit, by one of the maps, of a b (n_own each): exact
 * integers scaled by the largest term, so that the bits are the same at any rank count. Collective
 * on comm. */
void units_sum_products(const esp_comm *comm, const train_units *self, const int32_t *map,
                        const float *a, const float *b, double *sums);

#endif
