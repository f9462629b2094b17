#include "espalier/collect/command.h"

#include "espalier/core/json.h"
#include "espalier/core/log.h"
#include "espalier/model/family.h"

#include <inttypes.h>
#include <stdio.h>

static const esp_option_part parts[] = {
    {&esp_data_option_group, offsetof(esp_collect_settings, data)},
    {&esp_collect_option_group, offsetof(esp_collect_settings, collect)},
};

/* Without the run's own: names of files, and how it was conducted. The same job has the same bytes
 * under any. */
static json_t *dump_options(const esp_collect_settings *settings) {
  enum { MOST = 32 };
  esp_option rows[MOST];
  const esp_option_table table = esp_options_join(parts, sizeof parts / sizeof *parts, rows, MOST);
  return esp_options_dump(&table, settings, ESP_FOR_COLLECT);
}

static void set_hash(json_t *object, const char *key, uint64_t hash) {
  char text[24];
  snprintf(text, sizeof text, "%016" PRIx64, hash);
  json_object_set_new(object, key, json_string(text));
}

json_t *esp_collect_describe(const esp_comm *comm, const esp_collect_settings *settings,
                             const esp_model *model, const esp_shard *shard) {
  json_t *meta = esp_json_pack(
      "{s:s, s:I, s:I, s:I, s:o, s:s, s:s}", "family", model->family->name, "samples",
      (json_int_t)shard->samples, "micro_batch", (json_int_t)shard->micro_batch, "seed",
      (json_int_t)settings->run.seed, "data", esp_json_text(shard->data->path), "split",
      shard->data->split, "program", ESPALIER_VERSION);
  json_object_set_new(meta, "pilot", json_integer(settings->collect.pilot));
  json_object_set_new(meta, "options", dump_options(settings));
  set_hash(meta, "model_fingerprint", esp_model_fingerprint(comm, model));
  set_hash(meta, "data_fingerprint", shard->data->fingerprint);
  return meta;
}

esp_status esp_collect_described(const esp_comm *comm, const esp_collect_settings *settings,
                                 esp_model *model, esp_shard *shard, const char *path) {
  esp_collect_options options = settings->collect;
  options.width = settings->streams;
  options.seed = (uint64_t)settings->run.seed;
  options.save_every_s = settings->run.save_every;
  options.restart = settings->run.restart;
  esp_log_info("collect: %" PRId64 " samples in %" PRId64 " micro-batches over %d ranks",
               shard->samples, shard->n_batches, comm->size);
  return esp_collect(comm, model, shard, &options,
                     esp_collect_describe(comm, settings, model, shard), path);
}

/* What a run of the command holds. */
typedef struct command_job {
  esp_model *model;
  esp_dataset *data;
  esp_shard shard;
  esp_phases phases;
} command_job;

static esp_status open_all(const esp_comm *comm, const esp_collect_settings *settings,
                           const char *path, command_job *job) {
  const esp_samples samples = esp_samples_of(&settings->run, &settings->data, "train");
  ESP_TRY(esp_h5_check_writable(comm, settings->run.output, 0));
  ESP_TRY(esp_model_open_ignoring(comm, path, settings->run.ignore_tensors, &job->model));
  ESP_TRY(esp_samples_open_data(comm, &samples, job->model, &job->data));
  return esp_samples_open_shard_local(comm, &samples, job->model, job->data, &job->shard);
}

esp_status esp_collect_command(const esp_comm *comm, const esp_collect_settings *settings,
                               const char *path, esp_collect_result *result) {
  command_job job = {0};
  *result = (esp_collect_result){0};
  if (!settings->run.output)
    return esp_fail(ESP_USAGE, "collect: expected where to write the statistics; give -o FILE");
  esp_phases_begin(&job.phases, "read");
  esp_status status = open_all(comm, settings, path, &job);
  esp_phases_begin(&job.phases, "collect");
  if (status == ESP_OK)
    status = esp_collect_described(comm, settings, job.model, &job.shard, settings->run.output);
  esp_phases_end(&job.phases);
  if (status == ESP_OK) {
    *result = (esp_collect_result){job.shard.samples, esp_phases_gather(comm, &job.phases)};
    esp_phases_log(result->run);
  }
  esp_shard_clear(&job.shard);
  esp_dataset_close(&job.data);
  esp_model_free(&job.model);
  return status;
}
