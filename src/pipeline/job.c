#include "espalier/pipeline/job.h"

#include "espalier/model/family.h"
#include "espalier/model/forward.h"

#include <inttypes.h>
#include <stdio.h>

enum { DEFAULT_MICRO_BATCH = 256, DEFAULT_ROWS = 1024, ENTROPY_LENGTH = 128 };

int64_t esp_job_entropy_rows(const esp_model *model) {
  if (model->family->input != ESP_DATA_TOKENS) return 1;
  const bool is_short = model->max_length > 0 && model->max_length < ENTROPY_LENGTH;
  return is_short ? model->max_length : ENTROPY_LENGTH;
}

static esp_status make_data(const esp_settings *settings, const esp_model *model,
                            esp_dataset **data) {
  if (!model)
    return esp_fail(ESP_USAGE,
                    "--data " ESP_MAXIMUM_ENTROPY " is for collect and prune: there is nothing to "
                    "learn or predict in it; give real data");
  if (settings->data.samples == 0)
    return esp_fail(ESP_USAGE, "--data " ESP_MAXIMUM_ENTROPY " has no end; give --samples N");
  const int64_t rows = esp_job_entropy_rows(model);
  const bool is_text = model->family->input == ESP_DATA_TOKENS;
  *data = esp_dataset_new_maximum_entropy(
      &(esp_entropy_input){.kind = model->family->input,
                           .count = (settings->data.samples + rows - 1) / rows,
                           .width = is_text ? rows : model->n_inputs,
                           .vocabulary = model->vocabulary,
                           .seed = (uint64_t)settings->run.seed});
  return ESP_OK;
}

esp_status esp_job_open_data(const esp_comm *comm, const esp_settings *settings,
                             const esp_model *model, const char *default_split,
                             esp_dataset **data) {
  if (!settings->data.data)
    return esp_fail(ESP_USAGE, "expected a data set, found none; give --data PATH");
  if (esp_dataset_is_made(settings->data.data)) return make_data(settings, model, data);
  return esp_dataset_open(comm, settings->data.data,
                          settings->data.split ? settings->data.split : default_split, data);
}

esp_status esp_job_check_ranks_local(const esp_comm *comm, const esp_settings *settings,
                               int64_t micro_batches) {
  if (comm->size <= micro_batches || settings->run.allow_idle) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "%d ranks, but only %" PRId64 " micro-batches: %" PRId64
                  " ranks would idle; use at "
                  "most %" PRId64 " ranks, more samples, a smaller --micro-batch, or --allow-idle",
                  comm->size, micro_batches, comm->size - micro_batches, micro_batches);
}

/* About a thousand rows of tokens. */
static int64_t choose_micro_batch(const esp_settings *settings, const esp_dataset *data) {
  if (settings->data.micro_batch > 0) return settings->data.micro_batch;
  if (data->kind != ESP_DATA_TOKENS) return DEFAULT_MICRO_BATCH;
  return data->width < DEFAULT_ROWS ? DEFAULT_ROWS / data->width : 1;
}

esp_status esp_job_open_shard(const esp_comm *comm, const esp_settings *settings,
                              const esp_model *model, const esp_dataset *data, esp_shard *shard) {
  ESP_TRY(esp_model_check_data(model, data));
  const esp_shard_options options = {.samples = settings->data.samples,
                                     .micro_batch = choose_micro_batch(settings, data),
                                     .seed = (uint64_t)settings->run.seed};
  esp_shard_init(shard, comm, data, &options);
  const esp_status status = esp_job_check_ranks_local(comm, settings, shard->n_batches);
  if (status != ESP_OK) esp_shard_clear(shard);
  return status;
}

static void set_hash(json_t *object, const char *key, uint64_t hash) {
  char text[24];
  snprintf(text, sizeof text, "%016" PRIx64, hash);
  json_object_set_new(object, key, json_string(text));
}

json_t *esp_job_describe_collection(const esp_comm *comm, const esp_settings *settings,
                                    const esp_model *model, const esp_shard *shard) {
  json_t *meta =
      json_pack("{s:s, s:I, s:I, s:I, s:s, s:s, s:s}", "family", model->family->name, "samples",
                (json_int_t)shard->samples, "micro_batch", (json_int_t)shard->micro_batch, "seed",
                (json_int_t)settings->run.seed, "data", shard->data->path, "split",
                shard->data->split, "program", ESPALIER_VERSION);
  json_object_set_new(meta, "pilot", json_integer(settings->collect.pilot));
  json_t *options = esp_options_dump(esp_settings_table(), settings, ESP_FOR_COLLECT);
  json_object_del(options, "run"); // names of files: the same job has the same bytes under any
  json_object_set_new(meta, "options", options);
  set_hash(meta, "model_fingerprint", esp_model_fingerprint(comm, model));
  set_hash(meta, "data_fingerprint", shard->data->fingerprint);
  return meta;
}
