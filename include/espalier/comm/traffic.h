/* What this rank has handed to collectives, for reports and to check plans against. Every
 * communicator counts for itself, and nothing on a single rank. All communication goes through
 * module comm, which counts as it sends, so the count is whole but for HDF5's and ScaLAPACK's own
 * messages.
 *
 * Bytes are those of this rank's buffer, whatever the library makes of it: what it gives to
 * reductions, broadcasts and gathers, what it gets from exchanges. */
#ifndef ESPALIER_COMM_TRAFFIC_H
#define ESPALIER_COMM_TRAFFIC_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/cost.h"

#include <stdint.h>

ESP_C_BEGIN

/* The first seven kinds carry data, and a plan knows their bytes. The last two steer the run: their
 * bytes are few, and how often they are called shows only as it goes. */
typedef struct esp_traffic {
  int64_t calls[ESP_N_COLLECTIVES], bytes[ESP_N_COLLECTIVES];
} esp_traffic;

/* Name of a collective in reports. Local. */
const char *esp_collective_name(esp_collective kind);

ESP_C_END

#endif
