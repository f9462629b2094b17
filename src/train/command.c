#include "command_job.h"

#include "policy.h"
#include "trained_file.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"
#include "espalier/model/cost.h"

#include <inttypes.h>

static void set_hash(json_t *object, const char *key, uint64_t hash) {
  char text[24];
  snprintf(text, sizeof text, "%016" PRIx64, hash);
  json_object_set_new(object, key, json_string(text));
}

/* All that the result depends on; names of files may change. */
static json_t *describe(const command_job *job) {
  json_t *options = trained_dump_options(job->settings);
  json_object_del(json_object_get(options, "data"), "data");
  json_object_del(json_object_get(options, "train"), "teacher");
  json_object_del(json_object_get(options, "train"), "validation");
  json_object_del(json_object_get(options, "policy"), "rewind");
  json_t *all = esp_json_pack("{s:s, s:s, s:I, s:o, s:I}", "program", ESPALIER_VERSION, "command",
                              job->purpose == ESP_TRAIN_RECOVER ? "recover" : "train", "seed",
                              (json_int_t)job->settings->run.seed, "options", options,
                              "micro_batch", (json_int_t)job->options.micro_batch);
  set_hash(all, "data_fingerprint", job->data->fingerprint);
  if (job->purpose == ESP_TRAIN_NEW)
    json_object_set(all, "configuration", job->model->config);
  else
    set_hash(all, "model_fingerprint", job->fingerprint);
  if (job->teacher)
    set_hash(all, "teacher_fingerprint", esp_model_fingerprint(job->comm, job->teacher));
  if (job->rewind)
    set_hash(all, "rewind_fingerprint", esp_model_fingerprint(job->comm, job->rewind));
  if (job->held_out) set_hash(all, "validation_fingerprint", job->held_out->fingerprint);
  return all;
}

static bool is_own_teacher(const json_t *description) {
  const json_t *own = json_object_get(description, "model_fingerprint");
  return own && json_equal(own, json_object_get(description, "teacher_fingerprint"));
}

static esp_status open_journal(command_job *job) {
  if (job->purpose != ESP_TRAIN_NEW)
    job->fingerprint = esp_model_fingerprint(job->comm, job->model);
  json_t *description = describe(job);
  esp_status status = command_job_check_teacher_local(job, is_own_teacher(description));
  if (status == ESP_OK)
    status = esp_journal_open(job->comm, job->settings->run.output, description,
                              job->settings->run.restart, &job->journal);
  json_decref(description);
  return status;
}

static esp_status run(command_job *job, esp_train_report *report) {
  const char *output = job->settings->run.output;
  char *checkpoint = esp_format("%s.checkpoint.h5", output);
  char *early = esp_format("%s.early.h5", output);
  esp_phases_begin(&job->phases, "read");
  esp_status status = esp_h5_check_writable(job->comm, output, 0);
  if (status == ESP_OK) status = command_job_open(job);
  if (status == ESP_OK) // room for the result, before the work
    status = esp_h5_check_writable(job->comm, output, (int64_t)esp_model_file_bytes(job->model));
  if (status == ESP_OK) status = open_journal(job);
  if (status == ESP_OK) {
    const esp_train_request request = command_job_request(job, checkpoint, early);
    esp_phases_begin(&job->phases, "train");
    status = esp_train(job->comm, &request, report);
    esp_phases_begin(&job->phases, "write");
    if (status == ESP_OK)
      status = trained_write(job->comm, &(trained_model){.settings = job->settings,
                                                         .purpose = job->purpose,
                                                         .model = job->model,
                                                         .fingerprint = job->fingerprint,
                                                         .report = report});
    if (status == ESP_OK || !esp_journal_is_kept_local(job->journal, status))
      esp_train_remove_checkpoint(job->comm, checkpoint);
    esp_journal_close(&job->journal, status);
  }
  esp_phases_end(&job->phases);
  esp_free(&checkpoint);
  esp_free(&early);
  return status;
}

esp_status esp_train_command(const esp_comm *comm, const esp_train_settings *settings,
                             esp_train_purpose purpose, const char *path,
                             esp_train_result *result) {
  command_job job = command_job_make_local(comm, settings, purpose, path);
  *result = (esp_train_result){0};
  if (!settings->run.output)
    return esp_fail(ESP_USAGE, "%s: expected where to write the model; give -o FILE",
                    purpose == ESP_TRAIN_RECOVER ? "recover" : "train");
  const esp_status status = run(&job, &result->report);
  if (status == ESP_OK) {
    result->run = esp_phases_gather(comm, &job.phases);
    esp_phases_log(result->run);
  }
  command_job_clear(&job);
  return status;
}

void esp_train_result_clear(esp_train_result *self) {
  esp_train_report_clear(&self->report);
  json_decref(self->run);
  self->run = NULL;
}
