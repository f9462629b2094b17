#include "espalier/comm/cost.h"

#include "comm_internal.h"

double esp_reduction_bytes(int ranks, double elements, double element_bytes) {
  const double at_once = elements < COMM_CHUNK ? elements : COMM_CHUNK;
  return ranks > 1 ? at_once * element_bytes : 0.0;
}
