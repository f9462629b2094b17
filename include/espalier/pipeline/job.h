/* What several commands open: model, data set, shard of calibration samples. */
#ifndef ESPALIER_PIPELINE_JOB_H
#define ESPALIER_PIPELINE_JOB_H

#include "espalier/collect/collect.h"
#include "espalier/core/c_linkage.h"
#include "espalier/pipeline/settings.h"

ESP_C_BEGIN

/* Open the data set that settings name (split: theirs, or the given default), or make input of
 * maximum entropy for the model, at least --samples rows of it; model NULL: real data only. USAGE
 * without --data, or for maximum entropy without --samples. Collective. */
esp_status esp_job_open_data(const esp_comm *comm, const esp_settings *settings,
                             const esp_model *model, const char *default_split, esp_dataset **data);
/* Rows of a sample of maximum entropy: tokens of a sequence, 1 for images. Local. */
int64_t esp_job_entropy_rows(const esp_model *model);

/* Deal calibration samples; USAGE: more ranks than micro-batches and not --allow-idle. MISMATCH:
 * data that the model cannot read. Collective, equal on all ranks. */
esp_status esp_job_open_shard(const esp_comm *comm, const esp_settings *settings,
                              const esp_model *model, const esp_dataset *data, esp_shard *shard);

/* Describe a collection for STATS.h5: options, fingerprints, where the data was. A new reference.
 * Collective. */
json_t *esp_job_describe_collection(const esp_comm *comm, const esp_settings *settings,
                                    const esp_model *model, const esp_shard *shard);

/* Fail with USAGE unless there are at least as many units of work as ranks, or --allow-idle. Local.
 */
esp_status esp_job_check_ranks_local(const esp_comm *comm, const esp_settings *settings,
                                     int64_t micro_batches);

ESP_C_END

#endif
