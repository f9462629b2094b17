/* What a piece of work needs, before it runs: memory, traffic, operations. Every module exports
 * such sums beside the code that they describe, from the same constants, and a plan adds them up.
 * All numbers are doubles, since they are sums of products of sizes. All functions are local. */
#ifndef ESPALIER_CORE_COST_H
#define ESPALIER_CORE_COST_H

#include "espalier/core/c_linkage.h"

ESP_C_BEGIN

/* What a rank hands bytes to; comm/traffic.h counts the same. */
typedef enum esp_collective {
  ESP_ALLREDUCE,  // blocking reductions
  ESP_IALLREDUCE, // reductions of joint counts, overlapped with counting
  ESP_BCAST,
  ESP_GATHER,
  ESP_EXCHANGE,       // codes and counts, received from other ranks
  ESP_REDUCE_SCATTER, // sums of which each rank gets a part
  ESP_ALLGATHER,      // parts of which each rank gets all
  ESP_AGREEMENT,      // whether a rank has failed: four bytes a call
  ESP_CONTROL,        // other numbers that ranks agree on, failure texts, barriers, reports
  ESP_N_COLLECTIVES,
  ESP_N_PLANNED = ESP_AGREEMENT // those before it carry data
} esp_collective;

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

/* Put a step behind what is there: its peak stands on what was kept, and the rest adds up. */
void esp_cost_add(esp_cost *self, const esp_cost *step);
void esp_work_add(esp_work *self, const esp_work *step);
/* Allocate so many bytes on top of what is kept; below 0: free them. */
void esp_cost_hold(esp_cost *self, double bytes);
/* Allocate so many bytes, and free them again. */
void esp_cost_touch(esp_cost *self, double bytes);
/* Hand bytes to a collective; one rank alone has nobody to send to. */
void esp_cost_send(esp_cost *self, int ranks, esp_collective kind, double bytes);
/* Do the same so many times, one after the other, each in the memory of the one before. */
void esp_cost_repeat(esp_cost *self, double times);

ESP_C_END

#endif
