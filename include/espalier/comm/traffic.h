/* What this process has handed to collectives, for reports and to check plans against. HDF5's and
 * ScaLAPACK's own messages are not seen. */
#ifndef ESPALIER_COMM_TRAFFIC_H
#define ESPALIER_COMM_TRAFFIC_H

#include "espalier/comm/comm.h"
#include "espalier/core/cost.h"

#include <jansson.h>

/* Name of a collective in reports. Local. */
const char *esp_collective_name(esp_collective kind);

/* Count one call with this rank's bytes: the buffer's size, whatever the library makes of it.
 * Nothing is counted on a single rank's communicator. Local. */
void esp_traffic_add(const esp_comm *comm, esp_collective kind, int64_t bytes);

/* Gather {NAME: {"calls":, "bytes":, "bytes_max":}}: calls of this rank, bytes as mean and largest
 * over ranks. A new reference. Collective. */
json_t *esp_traffic_gather(const esp_comm *comm);

#endif
