/* The metric in which errors of a site's outputs are compared. */
#ifndef ESPALIER_SELECT_METRIC_H
#define ESPALIER_SELECT_METRIC_H

#include "espalier/core/status.h"

#include <stdint.h>

/* Multiply a map (n, features) by a root of half the metric F (n, n), R^T R = (F + 0.1 mean(diag F)
 * I) / 2: errors of the new outputs have as squares those of the old ones in the metric F / 2. With
 * the softmax layer's Fisher information that is the Kullback-Leibler divergence to second order,
 * in nats a row; the shrinkage is for F's small eigenvalues, which come out too small from a few
 * thousand rows. metric is used up. NUMERIC, naming the site: F is zero, not finite or not positive
 * semi-definite. Local. */
esp_status esp_metric_apply(const char *site, int64_t n, double *metric, int64_t features,
                            float *map);

#endif
