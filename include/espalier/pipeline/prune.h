/* The main job: statistics -> selection from the top -> cut -> repair -> PRUNED.h5 and its report.
 */
#ifndef ESPALIER_PIPELINE_PRUNE_H
#define ESPALIER_PIPELINE_PRUNE_H

#include "espalier/comm/phases.h"
#include "espalier/core/c_linkage.h"
#include "espalier/pipeline/settings.h"

ESP_C_BEGIN

/* Prune the model at path as settings ask; *report is what NAME.report.json holds (a new
 * reference). PRUNED.h5 holds /model, /config, /kept/<site>, /scores/<site>, /report (no times) and
 * /meta. Nothing stands under the output's name on failure. Collective. */
esp_status esp_prune(const esp_comm *comm, const esp_settings *settings, const char *path,
                     json_t **report);

ESP_C_END

#endif
