/* What a piece of work needs, before it runs: memory, traffic, operations. Every module exports
 * such sums beside the code that they describe, from the same constants, and a plan adds them up.
 * All numbers are doubles, since they are sums of products of sizes. */
#ifndef ESPALIER_COMM_COST_H
#define ESPALIER_COMM_COST_H

#include "espalier/comm/traffic.h"
#include "espalier/core/c_linkage.h"

ESP_C_BEGIN

/* Operations by the kernel that they run in; a plan times these kernels. */
typedef struct esp_work {
  double flops;    // single precision; divided by the ranks
  double solver;   // double precision in distributed solves, likewise
  double serial;   // double precision of the busiest rank while others wait
  double values;   // elementwise with an exponential each, divided by the ranks
  double every;    // elementwise, the same on every rank
  double words;    // 64-bit AND + popcount of the busiest rank
  double bytes;    // copied by one rank
  double reduced;  // bytes of allreduced buffers
  double solves;   // calls of the solver
  double datasets; // made in a file
} esp_work;

typedef struct esp_cost {
  double peak_bytes;                 // that stand together at most, of rank 0, which has the most
  double kept_bytes;                 // of these what stays once the work is done
  double traffic[ESP_N_COLLECTIVES]; // bytes that a rank hands to each, as comm/traffic.h counts
  esp_work work;
} esp_cost;

/* Put a step behind what is there: its peak stands on what was kept, and the rest adds up. Local.
 */
void esp_cost_add(esp_cost *self, const esp_cost *step);
void esp_work_add(esp_work *self, const esp_work *step);

ESP_C_END

#endif
