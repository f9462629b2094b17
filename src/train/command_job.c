#include "command_job.h"

#include "doubtful.h"
#include "origin.h"
#include "perceptron.h"
#include "policy.h"
#include "unread.h"
#include "vocabulary.h"

#include "espalier/core/memory.h"
#include "espalier/flow/samples.h"
#include "espalier/io/file.h"
#include "espalier/io/outputs.h"

#include <inttypes.h>
#include <string.h>

static bool is_configuration(const char *path) {
  const size_t n = strlen(path);
  return n > 5 && strcmp(path + n - 5, ".json") == 0;
}

static esp_status read_configuration(const command_job *job, json_t **config) {
  char *text = NULL;
  int64_t bytes;
  json_error_t error;
  ESP_TRY(esp_file_read(job->comm, job->path, &text, &bytes));
  *config = json_loads(text, 0, &error);
  esp_free(&text);
  if (json_is_object(*config)) return ESP_OK;
  return esp_fail(ESP_FORMAT, "%s: expected a JSON object as configuration, found line %d: %s",
                  job->path, error.line, error.text);
}

/* A model with random weights; its head and embedding are stored in float32. */
static esp_status make_model(command_job *job) {
  json_t *config = NULL;
  esp_status status = job->path ? read_configuration(job, &config)
                                : perceptron_configure(&job->settings->network, job->data, &config);
  if (status == ESP_OK) status = esp_model_new(config, &job->model);
  json_decref(config);
  if (status != ESP_OK) return status;
  if (job->is_planned) return ESP_OK;
  esp_model_own_all(job->model);
  job->model->family->init(job->model, (uint64_t)job->settings->run.seed);
  return ESP_OK;
}

static esp_status open_model(command_job *job) {
  if (job->purpose != ESP_TRAIN_NEW)
    return esp_model_open_ignoring(job->comm, job->path, job->settings->run.ignore_tensors,
                                   &job->model);
  return esp_agree(job->comm, make_model(job));
}

static esp_status check_origin(const command_job *job, const origin *from) {
  char now[24];
  snprintf(now, sizeof now, "%016" PRIx64, esp_model_fingerprint(job->comm, job->teacher));
  if (!from->fingerprint || strcmp(now, from->fingerprint) == 0) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: expected the model that %s was cut from (fingerprint %s), found another "
                  "(%s); give --teacher MODEL",
                  from->path, job->path, from->fingerprint, now);
}

/* The command line does not name it, so it has not been held against the outputs yet. */
static esp_status check_outputs(const command_job *job, const char *path) {
  static const char *const beside[] = {
      ".partial",          ".journal", ".checkpoint.h5", ".checkpoint.h5.partial", ".early.h5",
      ".early.h5.partial", NULL};
  const esp_output outputs[] = {{"-o", job->settings->run.output, beside},
                                {"--json", job->settings->run.json, beside}};
  const esp_input input = {"the model that was pruned", path};
  return esp_outputs_check(job->comm, &(esp_files){outputs, &input, 2, 1});
}

static esp_status open_named(command_job *job, const char *path) {
  ESP_TRY(check_outputs(job, path));
  const esp_status status =
      esp_model_open_ignoring(job->comm, path, job->settings->run.ignore_tensors, &job->teacher);
  if (status == ESP_OK) return ESP_OK;
  return esp_fail(status, "%s; it is what %s was cut from: give --teacher MODEL if it has moved",
                  esp_failure_text(), job->path);
}

static esp_status open_origin(command_job *job) {
  origin from = origin_read(job->model);
  esp_status status = ESP_OK;
  if (from.path)
    status = open_named(job, from.path);
  else
    status = esp_fail(ESP_USAGE,
                      "%s: expected a pruned model, whose report names the dense one, found none; "
                      "give --teacher MODEL",
                      job->path);
  if (from.path && status == ESP_OK) status = check_origin(job, &from);
  origin_clear(&from);
  return status;
}

static esp_status open_teacher(command_job *job) {
  const char *teacher = job->settings->train.teacher;
  if (teacher)
    return esp_model_open_ignoring(job->comm, teacher, job->settings->run.ignore_tensors,
                                   &job->teacher);
  return job->purpose == ESP_TRAIN_RECOVER ? open_origin(job) : ESP_OK;
}

static esp_status open_data(command_job *job) {
  esp_samples samples = esp_samples_of(&job->settings->run, &job->settings->data, "train");
  samples.reader = job->model;
  ESP_TRY(esp_samples_open_data(job->comm, &samples, NULL, &job->data));
  if (!job->settings->train.validation) return ESP_OK;
  return esp_samples_open_other(job->comm, &samples, job->settings->train.validation, "test",
                                &job->held_out);
}

static esp_status prepare_masking(command_job *job) {
  job->is_masked = job->model->task == ESP_TASK_MASKED;
  if (!job->is_masked) return ESP_OK;
  if (job->path) ESP_TRY(esp_mask_tokens_read(job->comm, job->path, &job->tokens));
  if (job->tokens.mask < 0 && job->teacher)
    ESP_TRY(esp_mask_tokens_read(job->comm, job->teacher->path, &job->tokens));
  return esp_mask_tokens_choose(&job->tokens, job->model, &job->options,
                                (uint64_t)job->settings->run.seed, &job->masking);
}

static esp_status resolve(command_job *job) {
  job->options = job->settings->train;
  job->options.micro_batch = job->settings->data.micro_batch;
  if (job->options.trainable) job->options.trainable = esp_strdup(job->options.trainable);
  esp_train_options_resolve(&job->options, job->purpose, job->model, job->data);
  job->policy = job->settings->policy;
  ESP_TRY(esp_policy_options_resolve(&job->policy));
  const int64_t n = (job->options.batch + job->options.micro_batch - 1) / job->options.micro_batch;
  return esp_samples_check_ranks(job->ranks, n, job->settings->run.allow_idle);
}

static void warn_unread(const command_job *job) {
  unread_warn(&(unread_setting){.asked = job->settings,
                                .resolved = &job->options,
                                .purpose = job->purpose,
                                .has_teacher = job->teacher,
                                .is_masked = job->model->task == ESP_TASK_MASKED,
                                .is_given = job->path});
}

static esp_status open_rewind(command_job *job) {
  const char *path = job->policy.rewind;
  const policy *of;
  ESP_TRY(policy_find(job->policy.policy, &of));
  if (!path || !of || !policy_reads(of, &job->policy, "rewind")) return ESP_OK;
  return esp_model_open_ignoring(job->comm, path, job->settings->run.ignore_tensors, &job->rewind);
}

esp_status command_job_open(command_job *job) {
  /* A new model is made for its data; text is read by the tokenizer of one that is there. */
  if (job->purpose != ESP_TRAIN_NEW) ESP_TRY(open_model(job));
  ESP_TRY(open_data(job));
  if (job->purpose == ESP_TRAIN_NEW) ESP_TRY(open_model(job));
  ESP_TRY(open_teacher(job));
  if (job->teacher)
    ESP_TRY(vocabulary_check_teacher(job->comm, job->model, job->teacher, job->data));
  ESP_TRY(resolve(job));
  ESP_TRY(open_rewind(job));
  warn_unread(job);
  doubtful_warn(job);
  return prepare_masking(job);
}

esp_train_request command_job_request(const command_job *job, const char *checkpoint,
                                      const char *early) {
  return (esp_train_request){.model = job->model,
                             .teacher = job->teacher,
                             .rewind = job->rewind,
                             .data = job->data,
                             .held_out = job->held_out,
                             .options = &job->options,
                             .policy = &job->policy,
                             .masking = job->is_masked ? &job->masking : NULL,
                             .seed = (uint64_t)job->settings->run.seed,
                             .checkpoint = checkpoint,
                             .early = job->options.save_step >= 0 ? early : NULL,
                             .save_every_s = job->settings->run.save_every,
                             .journal = job->journal};
}

esp_status command_job_check_teacher_local(const command_job *job, bool is_own) {
  const policy *of;
  ESP_TRY(policy_find(job->policy.policy, &of));
  const bool begins_by_gradients = of && of->prunes_once && of->count_passes;
  const bool can_learn = job->options.mix > 0.0 || (of && !begins_by_gradients);
  if (!is_own || can_learn) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "%s: expected another model as teacher, found this one%s; give one to learn of",
                  job->teacher->path,
                  begins_by_gradients ? ", whose gradient has nothing to tell to --policy" : "");
}

void command_job_clear(command_job *job) {
  esp_mask_tokens_clear(&job->tokens);
  if (job->data) esp_free(&job->options.trainable); // resolve's copy
  esp_model_free(&job->model);
  esp_model_free(&job->teacher);
  esp_model_free(&job->rewind);
  esp_dataset_close(&job->data);
  esp_dataset_close(&job->held_out);
}

command_job command_job_make_local(const esp_comm *comm, const esp_train_settings *settings,
                                   esp_train_purpose purpose, const char *path) {
  const bool is_new = !path || is_configuration(path);
  return (command_job){.comm = comm,
                       .settings = settings,
                       .purpose = purpose == ESP_TRAIN_GIVEN && is_new ? ESP_TRAIN_NEW : purpose,
                       .path = path,
                       .ranks = comm->size,
                       .tokens.mask = -1};
}
