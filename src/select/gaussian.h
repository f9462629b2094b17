/* The Gaussian model both set-wise criteria share: features with covariance G + D and outputs
 * y = M x, M the map's rows times output_scale, D = ridge * mean variance * I.
 *
 * A dead feature (no variance) tells nothing: its column of M and its row of G count as zero, and D
 * holds a positive number there, so that G + D stays invertible with any ridge. */
#ifndef ESPALIER_SELECT_GAUSSIAN_H
#define ESPALIER_SELECT_GAUSSIAN_H

#include "espalier/select/criterion.h"

#include <stdbool.h>

typedef struct esp_gaussian {
  const esp_evidence *evidence; // borrowed
  int64_t features;             // F
  double ridge;                 // absolute: of every live feature's variance
  bool *dead;                   // (F), owned
} esp_gaussian;

/* Relative width of a tie: duplicates must tie although rounding tells them apart (by about 1e-16
 * times the condition of G + D), on every machine. */
#define ESP_TIE 1e-7

/* NUMERIC: not finite, or a variance clearly negative. Clear after success only. Local. */
esp_status esp_gaussian_init(esp_gaussian *self, const esp_evidence *evidence);
void esp_gaussian_clear(esp_gaussian *self);

/* True if no feature of the unit varies. Local. */
bool esp_gaussian_is_dead(const esp_gaussian *self, int64_t unit);

/* Write columns [first, first + count) of the lower triangle of G + D, column-major, from row first
 * on: (first + i, first + c), i >= c, at lower[i + c stride]. Local. */
void esp_gaussian_write_covariance(const esp_gaussian *self, int64_t first, int64_t count,
                                   double *lower, int64_t stride);

/* Write rows [first, first + count) of M as (count, F). Local. */
void esp_gaussian_write_map(const esp_gaussian *self, int64_t first, int64_t count, double *rows);

#endif
