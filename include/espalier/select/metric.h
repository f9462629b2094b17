/* The metric in which errors of a site's outputs are compared. */
#ifndef ESPALIER_SELECT_METRIC_H
#define ESPALIER_SELECT_METRIC_H

#include "espalier/core/c_linkage.h"
#include "espalier/select/criterion.h"

#include <stdint.h>

ESP_C_BEGIN

/* Multiply a map (n, features) by a root of half the metric F (n, n), R^T R = (F + 0.1 mean(diag F)
 * I) / 2: errors of the new outputs have as squares those of the old ones in the metric F / 2. With
 * the softmax layer's Fisher information that is the Kullback-Leibler divergence to second order,
 * in nats a row; the shrinkage is for F's small eigenvalues, which come out too small from a few
 * thousand rows. metric is used up. NUMERIC, naming the site: F is zero, not finite or not positive
 * semi-definite. Local. */
esp_status esp_metric_apply(const char *site, int64_t n, double *metric, int64_t features,
                            float *map);

/* What multiplying takes: the metric and its root, and a factorisation. Local. */
void esp_metric_add_cost(const esp_criterion_shape *shape, esp_cost *cost);

/* What losing all features costs in the metric that the map has been multiplied by: the sum of the
 * outputs' variances, of their mean squares where mean (features) is given. covariance and map of
 * the evidence are read. Local. */
double esp_metric_price_whole(const esp_evidence *evidence, const double *mean);

ESP_C_END

#endif
