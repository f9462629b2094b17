#include "espalier/train/command.h"

#include "origin.h"
#include "perceptron.h"
#include "policy.h"
#include "trained_file.h"
#include "unread.h"

#include "espalier/core/json.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/flow/samples.h"
#include "espalier/io/cost.h"
#include "espalier/io/file.h"
#include "espalier/io/outputs.h"
#include "espalier/model/cost.h"
#include "espalier/model/family.h"
#include "espalier/train/cost.h"
#include "espalier/train/mask_tokens.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What a run of the command holds. */
typedef struct command_job {
  const esp_comm *comm;
  const esp_train_settings *settings;
  esp_train_purpose purpose;
  const char *path;          // NULL: a perceptron is made
  int ranks;                 // that it runs on, or is planned for
  bool is_planned;           // a new model gets no values
  esp_train_options options; // resolved
  esp_model *model, *teacher, *rewind;
  esp_dataset *data, *held_out;
  esp_mask_tokens tokens;
  esp_masking masking;
  bool is_masked;
  esp_policy_options policy; // resolved
  uint64_t fingerprint;      // of what was read
  esp_journal *journal;
  esp_phases phases;
} command_job;

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

static esp_status open_all(command_job *job) {
  /* A new model is made for its data; text is read by the tokenizer of one that is there. */
  if (job->purpose != ESP_TRAIN_NEW) ESP_TRY(open_model(job));
  ESP_TRY(open_data(job));
  if (job->purpose == ESP_TRAIN_NEW) ESP_TRY(open_model(job));
  ESP_TRY(open_teacher(job));
  ESP_TRY(resolve(job));
  ESP_TRY(open_rewind(job));
  warn_unread(job);
  return prepare_masking(job);
}

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

/* A model learns nothing from itself, but for labels that are mixed in, or while it is pruned. */
static esp_status check_differs(const command_job *job, const json_t *description) {
  const json_t *own = json_object_get(description, "model_fingerprint");
  const json_t *other = json_object_get(description, "teacher_fingerprint");
  const bool can_learn = job->options.mix > 0.0 || job->policy.policy;
  if (!own || can_learn || !json_equal(own, other)) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "%s: expected another model as teacher, found this one; give one to learn of",
                  job->teacher->path);
}

static esp_status open_journal(command_job *job) {
  if (job->purpose != ESP_TRAIN_NEW)
    job->fingerprint = esp_model_fingerprint(job->comm, job->model);
  json_t *description = describe(job);
  esp_status status = check_differs(job, description); // equal on all ranks
  if (status == ESP_OK)
    status = esp_journal_open(job->comm, job->settings->run.output, description,
                              job->settings->run.restart, &job->journal);
  json_decref(description);
  return status;
}

static esp_train_request make_request(const command_job *job, const char *checkpoint,
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

static esp_status run(command_job *job, esp_train_report *report) {
  const char *output = job->settings->run.output;
  char *checkpoint = esp_format("%s.checkpoint.h5", output);
  char *early = esp_format("%s.early.h5", output);
  esp_phases_begin(&job->phases, "read");
  esp_status status = esp_h5_check_writable(job->comm, output, 0);
  if (status == ESP_OK) status = open_all(job);
  if (status == ESP_OK) // room for the result, before the work
    status = esp_h5_check_writable(job->comm, output, (int64_t)esp_model_file_bytes(job->model));
  if (status == ESP_OK) status = open_journal(job);
  if (status == ESP_OK) {
    const esp_train_request request = make_request(job, checkpoint, early);
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

static void clear(command_job *job) {
  esp_mask_tokens_clear(&job->tokens);
  if (job->data) esp_free(&job->options.trainable); // resolve's copy
  esp_model_free(&job->model);
  esp_model_free(&job->teacher);
  esp_model_free(&job->rewind);
  esp_dataset_close(&job->data);
  esp_dataset_close(&job->held_out);
}

static command_job make_job(const esp_comm *comm, const esp_train_settings *settings,
                            esp_train_purpose purpose, const char *path) {
  const bool is_new = !path || is_configuration(path);
  return (command_job){.comm = comm,
                       .settings = settings,
                       .purpose = purpose == ESP_TRAIN_GIVEN && is_new ? ESP_TRAIN_NEW : purpose,
                       .path = path,
                       .ranks = comm->size,
                       .tokens.mask = -1};
}

esp_status esp_train_command(const esp_comm *comm, const esp_train_settings *settings,
                             esp_train_purpose purpose, const char *path,
                             esp_train_result *result) {
  command_job job = make_job(comm, settings, purpose, path);
  *result = (esp_train_result){0};
  if (!settings->run.output)
    return esp_fail(ESP_USAGE, "%s: expected where to write the model; give -o FILE",
                    purpose == ESP_TRAIN_RECOVER ? "recover" : "train");
  const esp_status status = run(&job, &result->report);
  if (status == ESP_OK) {
    result->run = esp_phases_gather(comm, &job.phases);
    esp_phases_log(result->run);
  }
  clear(&job);
  return status;
}

void esp_train_result_clear(esp_train_result *self) {
  esp_train_report_clear(&self->report);
  json_decref(self->run);
  self->run = NULL;
}

/* Every weight of a new model is its own. */
static void set_final(const command_job *job) {
  for (int w = 0; w < job->model->n_weights && job->purpose == ESP_TRAIN_NEW; w++)
    job->model->weights[w].is_final = true;
}

static void add_dataset(const esp_dataset *data, int ranks, esp_train_cost *cost) {
  if (!data) return;
  cost->data_bytes += esp_dataset_bytes(data);
  esp_cost_send(&cost->opening, ranks, ESP_BCAST, esp_dataset_bytes(data));
}

/* Hashes of all weights are agreed on: of a model for the journal, of a teacher also before. */
static void add_opened(const esp_model *model, int ranks, double hashes, esp_train_cost *cost) {
  esp_model_add_open_cost(model, ranks, &cost->opening);
  esp_cost_send(&cost->opening, ranks, ESP_ALLREDUCE,
                hashes * sizeof(int64_t) * (double)model->n_weights);
}

static void add_opening(const command_job *job, esp_train_cost *cost) {
  const double of_teacher = job->purpose == ESP_TRAIN_RECOVER && !job->settings->train.teacher;
  const bool is_new = job->purpose == ESP_TRAIN_NEW;
  add_dataset(job->data, job->ranks, cost);
  add_dataset(job->held_out, job->ranks, cost);
  if (!is_new) add_opened(job->model, job->ranks, 1.0, cost);
  if (job->rewind) add_opened(job->rewind, job->ranks, 1.0, cost);
  if (job->teacher) add_opened(job->teacher, job->ranks, 1.0 + of_teacher, cost);
  esp_cost_send(&cost->opening, job->ranks, ESP_BCAST, (double)job->tokens.bytes);
}

/* What stands beside the weights in a file that was read (report, units, scores) goes on with them;
 * all ranks get it. */
static void add_file(const command_job *job, esp_train_cost *cost) {
  /* Measured: /config, /meta and the training in it, HDF5's own; what a file that was read gains,
   * and has that is not sent. */
  enum { OWN = 7000, GAIN = 2000, REST = 12000 };
  struct stat about;
  const bool is_there = job->model->details && stat(job->path, &about) == 0;
  const double model = esp_model_file_bytes(job->model);
  const double mine = is_there ? fmax((double)about.st_size - model, 0.0) : 0.0;
  const double beside = esp_agree_max_f64(job->comm, mine);
  cost->trained_bytes = model + fmax(OWN, GAIN + beside);
  esp_cost_send(&cost->write, job->ranks, ESP_BCAST, fmax(beside - REST, 0.0));
}

static esp_status compute_cost(command_job *job, esp_train_cost *cost) {
  const esp_train_request request = make_request(job, NULL, "planned");
  set_final(job);
  ESP_TRY(esp_agree(job->comm, esp_train_compute_cost(&request, job->ranks, cost)));
  add_opening(job, cost);
  add_file(job, cost);
  return ESP_OK;
}

esp_status esp_train_command_cost(const esp_comm *comm, const esp_train_settings *settings,
                                  esp_train_purpose purpose, const char *path, int ranks,
                                  esp_train_cost *cost) {
  command_job job = make_job(comm, settings, purpose, path);
  *cost = (esp_train_cost){0};
  job.ranks = ranks;
  job.is_planned = true;
  esp_status status = open_all(&job);
  if (status == ESP_OK) status = compute_cost(&job, cost);
  clear(&job);
  return status;
}
