/* Symmetric matrices over the features of a site that shrink unit by unit: A -= Y Y^T and, for a
 * twin, Q -= Y V^T + V Y^T. The downdates are lazy: a block of columns of Y and V is kept and
 * applied at once (downdate.h); a column asked for in between is the stored column minus a
 * thin product. Units that are gone are squeezed out when they are an eighth of what is stored.
 *
 * A is a lower and Q an upper triangle of one array, column-major with F + 1 rows, so that both
 * take 8 F (F + 1) bytes; the pending columns take 16 F max(64, w). Local throughout. */
#ifndef ESPALIER_SELECT_SCHUR_H
#define ESPALIER_SELECT_SCHUR_H

#include <stdbool.h>
#include <stdint.h>

typedef struct esp_schur {
  int64_t width;
  int64_t units;    // U, at first
  int64_t slots;    // units stored at present
  int64_t features; // slots * width
  int64_t stride;   // F + 1, F = U * width
  int64_t *slot;    // (U): where a unit is stored, -1 once squeezed out
  bool *gone;       // (U)
  double *stored;   // (stride, F)
  double *y, *v;    // (stride, block) pending; v NULL without a twin
  int64_t block, pending;
} esp_schur;

void esp_schur_init(esp_schur *self, int64_t units, int64_t width, bool has_twin);
/* Bytes that it holds. */
double esp_schur_bytes(int64_t units, int64_t width, bool has_twin);
void esp_schur_clear(esp_schur *self);

/* The triangles: A(i, j), i >= j, at lower[i + j stride]; Q(i, j), i <= j, at upper[i + j stride].
 */
double *esp_schur_lower(const esp_schur *self);
double *esp_schur_upper(const esp_schur *self);

/* Write the current columns of A, and of Q, that belong to a unit; (features, w), stride as above.
 */
void esp_schur_fetch(const esp_schur *self, int64_t unit, double *columns);
void esp_schur_fetch_twin(const esp_schur *self, int64_t unit, double *columns);

/* The next w pending columns of Y and V, for the caller to fill before esp_schur_remove. */
double *esp_schur_next_y(const esp_schur *self);
double *esp_schur_next_v(const esp_schur *self);

/* Count the columns just filled and mark the unit as gone; applies a full block. */
void esp_schur_remove(esp_schur *self, int64_t unit);

#endif
