/* What a job will need before it is submitted: memory, traffic, work, files, time. */
#ifndef ESPALIER_PIPELINE_PLAN_H
#define ESPALIER_PIPELINE_PLAN_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"
#include "espalier/pipeline/settings.h"

ESP_C_BEGIN

/* Plan a prune of the model at path on settings->ranks ranks: from settings->data (collected first)
 * or settings->stats. *report, a new reference:
 *   "ranks", "ranks_per_node", "samples", "rows", "micro_batches", "micro_batches_a_rank",
 *   "parameters_dense", "parameters"
 *   "sites"        [{"site", "kind", "units", "kept", "multiple" (power of two), "groups"}]
 *   "memory"       {"base_bytes", "data_bytes", "phases" {NAME: bytes}, "peak_bytes", "peak_phase",
 *                  "limit_bytes", "limit_from"}, of rank 0
 *   "traffic"      {NAME: {"bytes"}}, as comm/traffic.h counts it
 *   "reduce"       {"sweeps", "by_exchange", "allreduce_bytes", "exchange_bytes", "allreduce_s",
 *                  "exchange_s", "cheaper"}
 *   "work"         {PHASE: {"flops", "word_operations", "elementwise"}}; "time_s" {PHASE: s, "all"}
 *   "files"        {"statistics_bytes", "pruned_bytes"}
 *   "calibration"  {"flops_per_s", "words_per_s", "copy_bytes_per_s", "reduce_bytes_per_s",
 *                  "values_per_s", "solver_flops_per_s", "solve_s"}
 * USAGE: what the job itself would refuse. Collective. */
esp_status esp_plan(const esp_comm *comm, const esp_settings *settings, const char *path,
                    json_t **report);

/* USAGE, with the arithmetic: a report's peak is above its limit. Local. */
esp_status esp_plan_check(const json_t *report);

ESP_C_END

#endif
