/* Phases: what a job spent its time and memory on, as min/mean/max over ranks. */
#ifndef ESPALIER_COMM_PHASES_H
#define ESPALIER_COMM_PHASES_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"

#include <jansson.h>

ESP_C_BEGIN

enum { ESP_MAX_PHASES = 32 };

/* Caller's struct, zero-initialised. Names are borrowed string literals. */
typedef struct esp_phases {
  const char *name[ESP_MAX_PHASES];
  double seconds[ESP_MAX_PHASES]; // s, this rank
  int64_t bytes[ESP_MAX_PHASES];  // peak anonymous memory, this rank
  int count, current;             // current: index + 1, 0 when none runs
  double start_s;
} esp_phases;

/* End the running phase and begin (or go on with) the named one. Local; same order on all ranks. */
void esp_phases_begin(esp_phases *self, const char *name);
/* End the running phase. Local. */
void esp_phases_end(esp_phases *self);
/* Gather {NAME: {"calls":, "bytes":, "bytes_max":}} of the communicator's traffic up to now
 * (comm/traffic.h): calls of this rank, bytes as mean and largest over ranks. A new reference.
 * Collective on comm. */
json_t *esp_phases_gather_traffic(const esp_comm *comm);
/* Gather on every rank, a new reference: "phases_s" {NAME: {"min", "mean", "max", "max_rank",
 * "max_host"}}, "phases_peak_bytes" likewise (anonymous memory), "peak_rss_bytes" and
 * "peak_anonymous_bytes" of the whole run with a list "ranks" beside, and "traffic"
 * (above). Collective on comm; equal on all ranks: names and order of the phases. */
json_t *esp_phases_gather(const esp_comm *comm, const esp_phases *self);
/* Print one line of what was gathered to the log: times, slowest rank and its host, largest peak.
 * Local. */
void esp_phases_log(const json_t *run);

ESP_C_END

#endif
