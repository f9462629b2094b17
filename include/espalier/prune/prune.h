/* The main job: statistics -> selection from the top -> cut -> repair -> PRUNED.h5 and its report.
 */
#ifndef ESPALIER_PRUNE_PRUNE_H
#define ESPALIER_PRUNE_PRUNE_H

#include "espalier/core/c_linkage.h"
#include "espalier/prune/report.h"

ESP_C_BEGIN

/* Prune the model at path as settings (borrowed, also by the report) ask. PRUNED.h5 holds /model,
 * /config, /kept/<site>, /scores/<site>, /report (no times) and /meta. *report is the caller's to
 * clear; empty on failure, and then nothing stands under the output's name. What
 * esp_prune_request_open says; IO, FORMAT, MISMATCH, NUMERIC, INTERRUPTED. Collective on comm;
 * equal on all ranks: settings, path. */
esp_status esp_prune(const esp_comm *comm, const esp_prune_settings *settings, const char *path,
                     esp_prune_report *report);

ESP_C_END

#endif
