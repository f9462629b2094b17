/* Memory that communication takes beside its buffers. */
#ifndef ESPALIER_COMM_COST_H
#define ESPALIER_COMM_COST_H

#include "espalier/core/c_linkage.h"

ESP_C_BEGIN

/* Bytes that MPI receives an allreduce of so many elements in, a chunk at a time; 0 on one rank.
 * Local. */
double esp_reduction_bytes(int ranks, double elements, double element_bytes);

ESP_C_END

#endif
