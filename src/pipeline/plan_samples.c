/* The samples that a job reads, as they would be dealt to its ranks: how many rows, words of a
 * plane and micro-batches, without a pass over them. */
#include "plan.h"

#include "espalier/core/memory.h"
#include "espalier/pipeline/job.h"

static double count_data_bytes(const esp_dataset *data) {
  const double cells = (double)(data->count * data->width), count = (double)data->count;
  return cells *
             ((data->pixels ? 1.0 : 0.0) + (data->tokens ? 4.0 : 0.0) + (data->types ? 4.0 : 0.0)) +
         count * ((data->labels ? 4.0 : 0.0) + (data->lengths ? 4.0 : 0.0));
}

static int64_t count_pilot_rows(const plan_job *plan, const esp_shard *shard) {
  const int64_t wanted =
      (plan->job.settings->collect.pilot + plan->batch_rows - 1) / plan->batch_rows;
  const int64_t n = wanted < 1 ? 1 : wanted < shard->n_batches ? wanted : shard->n_batches;
  int64_t rows = 0;
  for (int64_t i = 0; i < n; i++) rows += esp_shard_count_valid(shard, i * shard->n_batches / n);
  return rows;
}

/* The logits that are measured, as collect/logits.c counts them. */
static int64_t count_logits(const plan_job *plan) {
  const esp_model *model = plan->job.dense;
  const bool is_vocabulary = model->task == ESP_TASK_LANGUAGE || model->task == ESP_TASK_MASKED;
  const int64_t most = plan->job.settings->collect.top_units;
  return is_vocabulary && most < model->n_outputs ? most : model->n_outputs;
}

static void deal_words(plan_job *plan) {
  plan->rank_words = ESP_NEW(int64_t, plan->ranks);
  for (int r = 0; r < plan->ranks; r++)
    plan->rank_words[r] = plan->words * (esp_block_begin(plan->n_batches, plan->ranks, r + 1) -
                                         esp_block_begin(plan->n_batches, plan->ranks, r));
  plan->share = esp_block_begin(plan->n_batches, plan->ranks, 1);
}

/* Micro-batch 2 k + half is the half's k-th. */
static void deal_half_words(plan_job *plan) {
  plan->half_words = ESP_NEW(int64_t, 2 * plan->ranks);
  for (int half = 0; half < 2; half++)
    for (int r = 0; r < plan->ranks; r++) {
      const int64_t begin = esp_block_begin(plan->n_batches, plan->ranks, r);
      const int64_t end = esp_block_begin(plan->n_batches, plan->ranks, r + 1);
      const int64_t count = (end + 1 - half) / 2 - (begin + 1 - half) / 2;
      plan->half_words[half * plan->ranks + r] = plan->words * count;
    }
}

static void measure_shard(plan_job *plan, const esp_shard *shard) {
  const esp_settings *settings = plan->job.settings;
  plan->batch_rows = esp_shard_count_rows(shard);
  plan->samples = shard->samples;
  plan->tokens = plan->batch_rows / shard->micro_batch;
  plan->n_batches = shard->n_batches;
  plan->words = (plan->batch_rows + ESP_WORD_BITS - 1) / ESP_WORD_BITS;
  plan->rows = 0;
  for (int64_t i = 0; i < shard->n_batches; i++) plan->rows += esp_shard_count_valid(shard, i);
  plan->pilot_rows = count_pilot_rows(plan, shard);
  plan->read_bytes = count_data_bytes(shard->data);
  plan->data_bytes = plan->read_bytes + 8.0 * (double)shard->data->count +
                     4.0 * (double)(shard->micro_batch * shard->data->width);
  const bool has_softmax = plan->job.dense->task != ESP_TASK_EMBED;
  const int64_t wanted =
      has_softmax && wants_fisher(&plan->job) ? settings->collect.fisher_tokens : 0;
  plan->fisher_rows = wanted < plan->rows ? wanted : plan->rows;
  deal_words(plan);
  deal_half_words(plan);
}

static esp_status read_data(plan_job *plan, const esp_settings *settings) {
  const esp_comm pretended = esp_comm_pretend(0, plan->ranks);
  esp_dataset *data = NULL;
  esp_shard shard;
  ESP_TRY(esp_job_open_data(plan->comm, settings, plan->job.dense, "train", &data));
  const esp_status status = esp_job_open_shard(&pretended, settings, plan->job.dense, data, &shard);
  if (status == ESP_OK) {
    measure_shard(plan, &shard);
    esp_shard_clear(&shard);
  }
  esp_dataset_close(&data);
  return status;
}

/* Statistics tell how they were collected; the data set is there for repairs that pass over it. */
static esp_status read_meta(plan_job *plan, const json_t *meta) {
  esp_settings settings = *plan->job.settings;
  ESP_TRY(check_made(&plan->job));
  settings.data.samples = json_integer_value(json_object_get(meta, "samples"));
  settings.data.micro_batch = json_integer_value(json_object_get(meta, "micro_batch"));
  settings.run.seed = json_integer_value(json_object_get(meta, "seed"));
  settings.data.split = (char *)(uintptr_t)json_string_value(json_object_get(meta, "split"));
  if (!settings.data.data || has_data_for_repair(&plan->job))
    settings.data.data = (char *)(uintptr_t)json_string_value(json_object_get(meta, "data"));
  if (esp_dataset_is_made(settings.data.data))
    settings.data.samples *= esp_job_entropy_rows(plan->job.dense);
  plan->logits = json_integer_value(json_object_get(meta, ESP_META_LOGITS));
  if (!json_is_true(json_object_get(meta, ESP_META_HALVES))) plan->parts = 1;
  return read_data(plan, &settings);
}

static esp_status read_stats(plan_job *plan) {
  esp_stats *stats = NULL, *stand_in = plan->job.stats;
  ESP_TRY(esp_stats_open(plan->comm, plan->job.settings->prune.stats, &stats));
  plan->bins = stats->bins;
  plan->job.stats = stats;
  const esp_status status = read_meta(plan, stats->meta);
  plan->job.stats = stand_in;
  esp_stats_close(&stats);
  return status;
}

/* A criterion without data collects twice the samples at a time; all of that but the last
 * collection goes to plan->earlier. */
static esp_status read_doublings(plan_job *plan) {
  esp_settings settings = *plan->job.settings;
  settings.data.data = (char *)(uintptr_t)ESP_MAXIMUM_ENTROPY; // borrowed
  plan->doublings = settings.plan.doublings;
  plan->earlier = ESP_NEW(plan_job, plan->doublings);
  for (int64_t step = 0; step < plan->doublings; step++, settings.data.samples *= 2) {
    plan->earlier[step] = *plan;
    plan->earlier[step].earlier = NULL;
    plan->earlier[step].is_early = true;
    ESP_TRY(read_data(&plan->earlier[step], &settings));
  }
  return read_data(plan, &settings);
}

static esp_status read_calibration(plan_job *plan) {
  if (!plan->collects) return plan->job.settings->prune.stats ? read_stats(plan) : ESP_OK;
  return plan->job.criterion->is_data_free ? read_doublings(plan)
                                           : read_data(plan, plan->job.settings);
}

/* Masks by weights alone read none. */
esp_status plan_read_samples(plan_job *plan) {
  const prune_job *job = &plan->job;
  const bool has_stats = needs_stats(job);
  plan->collects = has_stats && !job->settings->prune.stats;
  plan->bins = (int)job->settings->collect.bins;
  plan->logits = count_logits(plan);
  plan->has_covariance = job->settings->collect.covariance;
  plan->has_width = reads_stream(job);
  plan->parts = job->settings->prune.stability ? 2 : 1;
  if (has_stats) ESP_TRY(read_calibration(plan));
  if (!has_data_for_repair(job)) return ESP_OK;
  plan->fit = ESP_NEW(plan_job, 1);
  *plan->fit = *plan;
  plan->fit->fit = plan->fit->earlier = NULL;
  plan->fit->rank_words = plan->fit->half_words = NULL;
  return read_data(plan->fit, job->settings);
}

static void clear_dealt(plan_job *plan) {
  esp_free(&plan->rank_words);
  esp_free(&plan->half_words);
}

void plan_clear_samples(plan_job *plan) {
  for (int64_t i = 0; plan->earlier && i < plan->doublings; i++) clear_dealt(&plan->earlier[i]);
  if (plan->fit) clear_dealt(plan->fit);
  esp_free(&plan->earlier);
  esp_free(&plan->fit);
  clear_dealt(plan);
}

const plan_job *plan_of_repair(const plan_job *plan) {
  return plan->fit ? plan->fit : plan;
}

bool plan_repair_reads(const plan_job *plan) {
  const prune_job *job = &plan->job;
  return job->repair->needs_data || (has_width(job) && job->repair->needs_data_for_width);
}

bool plan_holds_samples(const plan_job *plan) {
  return plan_repair_reads(plan) || plan->tries;
}
