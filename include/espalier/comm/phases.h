/* Phase times: what a job spent its time on, as min/mean/max over ranks. */
#ifndef ESPALIER_COMM_PHASES_H
#define ESPALIER_COMM_PHASES_H

#include "espalier/comm/comm.h"

#include <jansson.h>

enum { ESP_MAX_PHASES = 32 };

/* Caller's struct, zero-initialised. Names are borrowed string literals. */
typedef struct esp_phases {
  const char *name[ESP_MAX_PHASES];
  double seconds[ESP_MAX_PHASES]; // s, this rank
  int count, current;             // current: index + 1, 0 when none runs
  double start_s;
} esp_phases;

/* End the running phase and begin (or go on with) the named one. Local; same order on all ranks. */
void esp_phases_begin(esp_phases *self, const char *name);
/* End the running phase. Local. */
void esp_phases_end(esp_phases *self);
/* Gather {"phases_s": {NAME: {"min":, "mean":, "max":, "max_rank":}}} on every rank, and
 * "peak_rss_bytes" and "peak_anonymous_bytes" likewise. A new reference. Collective. */
json_t *esp_phases_gather(const esp_comm *comm, const esp_phases *self);

#endif
