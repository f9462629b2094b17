/* What a job will need before it is submitted: memory, traffic, work, files, time. */
#ifndef ESPALIER_PIPELINE_PLAN_H
#define ESPALIER_PIPELINE_PLAN_H

#include "espalier/comm/comm.h"
#include "espalier/pipeline/settings.h"

/* Plan a prune of the model at path on settings->ranks ranks: from settings->data (collected first)
 * or settings->stats. *report (a new reference): "ranks", "ranks_per_node", "samples",
 * "micro_batches", "sites" [{"site", "units", "kept", "multiple"}], "memory" {"base_bytes",
 * "data_bytes", "phases" {NAME: bytes}, "peak_bytes", "limit_bytes", "limit_from"}, "traffic"
 * {NAME:
 * {"bytes"}} as reports count it, "reduce" {"chosen", "allreduce_s", "exchange_s", ...}, "work",
 * "files" {"statistics_bytes", "pruned_bytes"}, "time_s" {NAME: s}, "calibration". USAGE: what
 * the job itself would refuse. Collective. */
esp_status esp_plan(const esp_comm *comm, const esp_settings *settings, const char *path,
                    json_t **report);

/* USAGE, with the arithmetic: a report's peak is above its limit. Local. */
esp_status esp_plan_check(const json_t *report);

#endif
