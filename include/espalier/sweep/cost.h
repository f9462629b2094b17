/* What the measures that sweeps of joint counts give take, beside the planes that they read. All
 * are local. */
#ifndef ESPALIER_SWEEP_COST_H
#define ESPALIER_SWEEP_COST_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/cost.h"
#include "espalier/sweep/sweep.h"

ESP_C_BEGIN

/* A matrix of results (x_units, y_units), or (x_units, x_units), is the caller's. The shape of a
 * symmetric sweep is so too; a correlation's visitor is its owner. */
void esp_sweep_add_information_cost(const esp_sweep_shape *shape, esp_cost *cost);
void esp_sweep_add_conditional_cost(const esp_sweep_shape *shape, int64_t targets, esp_cost *cost);
void esp_sweep_add_correlation_cost(const esp_sweep_shape *shape, esp_cost *cost);
/* Of x_units matched pairs. */
void esp_sweep_add_matched_cost(const esp_sweep_shape *shape, esp_cost *cost);

/* Both ways of the counting that either measure needs, side by side. */
typedef struct esp_sweep_ways {
  double sweeps, exchanges; // how many there are, and which go by exchange as the shape has it
  double allreduce_bytes, exchange_bytes;
  esp_work allreduce, exchange;
} esp_sweep_ways;
/* Add a sweep; targets > 0: those of the samples in each bin of so many targets. */
void esp_sweep_add_ways(const esp_sweep_shape *shape, int64_t targets, esp_sweep_ways *ways);

ESP_C_END

#endif
