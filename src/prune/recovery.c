#include "recovery.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/io/cost.h"
#include "espalier/prune/cost.h"
#include "espalier/train/mask_tokens.h"
#include "espalier/train/train.h"

static int64_t get_tokens(const esp_prune_request *request) {
  return request->settings->prune.recover_tokens;
}

static char *name_checkpoint(const prune_job *job) {
  return esp_format("%s.checkpoint.h5", job->request->settings->run.output);
}

esp_status recovery_check_masks(const prune_job *job) {
  const esp_model *dense = job->request->dense;
  esp_mask_tokens tokens = {.mask = -1};
  if (get_tokens(job->request) == 0 || dense->task != ESP_TASK_MASKED) return ESP_OK;
  ESP_TRY(esp_mask_tokens_read(job->comm, dense->path, &tokens));
  const bool is_known = tokens.mask >= 0;
  esp_mask_tokens_clear(&tokens);
  if (is_known) return ESP_OK;
  return esp_fail(ESP_USAGE, "--recover-tokens: expected a mask token in tokenizer.json beside the "
                             "model, found none; prune without it, then give espalier recover "
                             "--mask-token ID");
}

/* What was named, or what the statistics were made from (NULL: there are none). */
static esp_status open_data(const esp_comm *comm, const esp_prune_request *request,
                            const esp_stats_about *about, esp_dataset **data) {
  const esp_prune_settings *settings = request->settings;
  esp_samples samples = esp_samples_of(&settings->run, &settings->data, "train");
  if (about) esp_samples_read_again(&samples, about->data, about->context, about->pad);
  if (!samples.data || esp_dataset_is_made(samples.data))
    return esp_fail(ESP_USAGE,
                    "--recover-tokens: expected text or images to train on, found %s; "
                    "give --data PATH",
                    samples.data ? "input that is made" : "none");
  return esp_samples_open_data(comm, &samples, request->dense, data);
}

/* As many steps as there are tokens. */
static void choose_options(const esp_prune_request *request, const esp_model *pruned,
                           const esp_dataset *data, esp_train_options *options) {
  const int64_t rows = data->kind == ESP_DATA_TOKENS ? data->width : 1;
  esp_train_options_init(options);
  options->micro_batch = request->settings->data.micro_batch;
  options->epochs = (get_tokens(request) + data->count * rows - 1) / (data->count * rows);
  esp_train_options_resolve(options, ESP_TRAIN_RECOVER, pruned, data);
  options->steps = (get_tokens(request) + options->batch * rows - 1) / (options->batch * rows);
  if (data->count > (options->hold_out - 1) * options->micro_batch) return;
  esp_log_warn("--recover-tokens: %lld samples are too few to hold any out: the last weights are "
               "taken, better or not",
               (long long)data->count);
  options->hold_out = 0;
}

static esp_status choose_masking(const prune_job *job, const esp_train_options *options,
                                 esp_mask_tokens *tokens, esp_masking *masking) {
  const uint64_t seed = (uint64_t)job->request->settings->run.seed;
  ESP_TRY(esp_mask_tokens_read(job->comm, job->request->dense->path, tokens));
  return esp_mask_tokens_choose(tokens, job->pruned, options, seed, masking);
}

static esp_status train(prune_job *job, const esp_train_options *options) {
  const bool is_masked = job->pruned->task == ESP_TASK_MASKED;
  esp_mask_tokens tokens = {.mask = -1};
  esp_masking masking;
  esp_status status = is_masked ? choose_masking(job, options, &tokens, &masking) : ESP_OK;
  char *checkpoint = name_checkpoint(job);
  const esp_train_request request = {.model = job->pruned,
                                     .teacher = job->request->dense,
                                     .data = job->data,
                                     .options = options,
                                     .masking = is_masked ? &masking : NULL,
                                     .seed = (uint64_t)job->request->settings->run.seed,
                                     .checkpoint = checkpoint,
                                     .save_every_s = job->request->settings->run.save_every,
                                     .journal = job->journal.file};
  if (status == ESP_OK) status = esp_train(job->comm, &request, &job->report.parts.recovery);
  esp_free(&checkpoint);
  esp_mask_tokens_clear(&tokens);
  return status;
}

esp_status recovery_run(prune_job *job) {
  esp_train_options options;
  if (get_tokens(job->request) == 0) return ESP_OK;
  esp_phases_begin(&job->phases, "recover");
  if (!job->data || job->data->is_made) { // else it is what the repair reads
    esp_dataset_close(&job->data);
    ESP_TRY(open_data(job->comm, job->request, job->stats ? &job->stats->about : NULL, &job->data));
  }
  choose_options(job->request, job->pruned, job->data, &options);
  const esp_status status = train(job, &options);
  esp_train_options_clear(&options);
  return status;
}

void recovery_finish(const prune_job *job) {
  char *checkpoint = name_checkpoint(job);
  if (get_tokens(job->request) > 0) esp_train_remove_checkpoint(job->comm, checkpoint);
  esp_free(&checkpoint);
}

static esp_status compute_cost(const esp_prune_sketch *sketch, const esp_dataset *data,
                               esp_train_cost *cost) {
  esp_train_options options;
  choose_options(sketch->request, sketch->pruned, data, &options);
  const esp_train_request request = {.model = sketch->pruned,
                                     .teacher = sketch->request->dense,
                                     .data = data,
                                     .options = &options};
  const esp_status status = esp_train_compute_cost(&request, sketch->ranks, cost);
  esp_train_options_clear(&options);
  return status;
}

esp_status esp_prune_compute_recovery_cost(const esp_comm *comm, const esp_prune_sketch *sketch,
                                           const esp_stats_about *about, esp_train_cost *cost) {
  esp_dataset *data = NULL;
  *cost = (esp_train_cost){0};
  if (get_tokens(sketch->request) == 0) return ESP_OK;
  ESP_TRY(open_data(comm, sketch->request, about, &data));
  const esp_status status = esp_agree(comm, compute_cost(sketch, data, cost));
  cost->data_bytes = esp_dataset_bytes(data);
  esp_dataset_close(&data);
  return status;
}
