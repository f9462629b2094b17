#include "config_json.h"

#include "espalier/model/export.h"

#include "espalier/core/json.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/io/companions.h"
#include "espalier/io/file.h"
#include "espalier/io/folder.h"
#include "espalier/model/family.h"

#include <stdlib.h>
#include <sys/stat.h>

typedef struct export_job {
  const esp_comm *comm;
  const esp_export_options *options;
  esp_model *model;
  char *folder; // FOLDER.partial, owned
  char *source; // of the companions, owned; NULL: not known
  int copied;
  esp_model_files files;
} export_job;

static bool is_folder(const char *path) {
  struct stat about;
  return path && stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* The folder that the model is or was pruned from. */
static void find_source_local(export_job *job) {
  json_t *details = job->model->details ? json_loads(job->model->details, 0, NULL) : NULL;
  char *pruned_from = esp_json_bytes(json_object_get(details, "model_path"));
  const char *origin = is_folder(job->model->path) ? job->model->path : pruned_from;
  if (is_folder(origin))
    job->source = esp_strdup(origin);
  else if (job->model->vocabulary > 0) // of images none has a tokenizer
    esp_log_warn("export: %s is not known to come from a folder that is still there (%s): no "
                 "tokenizer is copied; name it with --source",
                 job->model->path, origin ? origin : "none named");
  json_decref(details);
  esp_free(&pruned_from);
}

static esp_status choose_source_local(export_job *job) {
  const char *asked = job->options->source;
  if (asked && !is_folder(asked))
    return esp_fail(
        ESP_IO, "export: expected a folder for --source, found none at %s; check the path", asked);
  if (asked)
    job->source = esp_strdup(asked);
  else
    find_source_local(job);
  return ESP_OK;
}

static void tell_companions(const export_job *job, const esp_companions *done) {
  if (job->comm->rank != 0) return;
  if (done->left_out) esp_log_info("export: not copied from %s: %s", job->source, done->left_out);
  if (done->code > 0)
    esp_log_warn("export: %d files of custom code are copied as they are: transformers runs them "
                 "with trust_remote_code, for the sizes that config.json tells",
                 done->code);
}

static esp_status copy_companions(export_job *job) {
  ESP_TRY(esp_agree(job->comm, job->comm->rank == 0 ? choose_source_local(job) : ESP_OK));
  esp_bcast_text(job->comm, &job->source, 0);
  if (!job->source) return ESP_OK;
  esp_companions done;
  const esp_status status = esp_companions_copy(job->comm, job->source, job->folder, &done);
  job->copied = done.copied;
  if (status == ESP_OK) tell_companions(job, &done);
  esp_companions_clear(&done);
  return status;
}

static bool has_layer_sizes(const export_job *job) {
  return json_object_get(job->model->config, "per_layer_config") != NULL;
}

static esp_status write_config(const export_job *job) {
  if (has_layer_sizes(job) && job->comm->rank == 0)
    esp_log_warn("export: layers have different sizes, which config.json tells in "
                 "\"per_layer_config\"; transformers needs a loader that reads it");
  char *path = esp_format("%s/config.json", job->folder);
  char *dump = config_json_dump(job->model->config, JSON_INDENT(2) | JSON_SORT_KEYS);
  char *text = esp_format("%s\n", dump);
  const esp_status status = esp_file_write_text(job->comm, path, text);
  esp_free(&text);
  esp_free(&dump);
  esp_free(&path);
  return status;
}

static esp_status fill_folder(export_job *job, const char *path) {
  ESP_TRY(esp_model_open_ignoring(job->comm, path, job->options->ignored, &job->model));
  ESP_TRY(copy_companions(job));
  ESP_TRY(write_config(job));
  return esp_model_write_safetensors(job->comm, job->model, job->folder,
                                     job->options->max_shard_bytes, &job->files);
}

static esp_export_result describe(export_job *job) {
  const esp_export_result result = {.family = job->model->family->name,
                                    .parameters = esp_model_count_parameters(job->model),
                                    .files = job->files,
                                    .source = job->source,
                                    .n_copied = job->copied,
                                    .has_layer_sizes = has_layer_sizes(job),
                                    .opening = esp_model_find_opening(job->model)};
  job->source = NULL; // handed over
  return result;
}

esp_status esp_export(const esp_comm *comm, const esp_export_options *options, const char *path,
                      const char *folder, esp_export_result *result) {
  export_job job = {.comm = comm, .options = options};
  *result = (esp_export_result){0};
  ESP_TRY(esp_folder_create(comm, folder, &job.folder));
  esp_status status = fill_folder(&job, path);
  if (status == ESP_OK)
    status = esp_folder_commit(comm, folder);
  else
    esp_folder_abandon(comm, folder);
  if (status == ESP_OK) *result = describe(&job);
  esp_model_free(&job.model);
  esp_free(&job.folder);
  esp_free(&job.source);
  return status;
}
