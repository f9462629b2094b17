/* Symmetric matrices over the features of a site that shrink unit by unit: A -= Y Y^T and, for a
 * twin, Q -= Y V^T + V Y^T. The downdates are lazy: a block of columns of Y and V is kept and
 * applied at once (downdate.h); a column asked for in between is the stored column minus a
 * thin product. Units that are gone are squeezed out when they are an eighth of what is stored.
 *
 * A is a lower and Q an upper triangle of one array (block_columns.h); the pending columns take 16
 * F max(64, w) on every rank. With a team, its ranks call the same functions in the same order. */
#ifndef ESPALIER_SELECT_SCHUR_H
#define ESPALIER_SELECT_SCHUR_H

#include "block_columns.h"

typedef struct esp_schur {
  block_columns stored;
  int64_t width;
  int64_t units;    // U, at first
  int64_t slots;    // units stored at present
  int64_t features; // slots * width
  int64_t stride;   // F + 1, F = U * width
  int64_t *slot;    // (U): where a unit is stored, -1 once squeezed out
  bool *gone;       // (U)
  double *y, *v;    // (features, block) pending; v NULL without a twin
  int64_t block, pending;
} esp_schur;

/* team  borrowed; NULL: this process alone */
void esp_schur_init(esp_schur *self, const esp_comm *team, int64_t units, int64_t width,
                    bool has_twin);
/* Bytes that the first of so many ranks holds. Local. */
double esp_schur_bytes(int64_t units, int64_t width, bool has_twin, int ranks);
void esp_schur_clear(esp_schur *self);

/* All of A of a process alone, before any unit is gone: A(i, j), i >= j, at lower[i + j stride].
 * Local. */
double *esp_schur_lower(const esp_schur *self);

/* Write the current columns of A that belong to a unit, and behind them those of Q if there is a
 * twin, on the team's first rank; other ranks' are used up. Collective on the team.
 *   columns  out  (features, w), twice with a twin */
void esp_schur_fetch(const esp_schur *self, int64_t unit, double *columns);

/* The next w pending columns of Y and V, (features, w), for the caller to fill, with equal numbers
 * on all ranks, before esp_schur_remove. Local. */
double *esp_schur_next_y(const esp_schur *self);
double *esp_schur_next_v(const esp_schur *self);

/* Count the columns just filled and mark the unit as gone; applies a full block. Local. */
void esp_schur_remove(esp_schur *self, int64_t unit);

/* Rows of a column, summed over all that are fetched until one unit is left. Local. */
double esp_schur_fetched(int64_t units, int64_t width);

#endif
