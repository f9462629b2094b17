/* The samples that a job reads, as they would be dealt to its ranks, without a pass over them. */
#include "plan.h"

#include "espalier/collect/cost.h"
#include "espalier/core/memory.h"
#include "espalier/pipeline/job.h"

static void measure(plan_job *plan, const esp_shard *shard, plan_samples *samples) {
  esp_stats_shape *whole = &samples->stats[ESP_WHOLE];
  esp_shard_shape_init(&samples->shard, shard, plan->ranks);
  esp_stats_shape_init(whole, &samples->shard, (int)plan->collect.bins, plan->collect.halves);
  for (int half = ESP_EVEN; half <= ESP_ODD; half++)
    esp_stats_shape_init_half(&samples->stats[half], &samples->shard, whole, (esp_half)half);
}

static esp_status read_data(plan_job *plan, const esp_settings *settings, plan_samples *samples) {
  const esp_comm pretended = esp_comm_pretend(0, plan->ranks);
  esp_dataset *data = NULL;
  esp_shard shard;
  ESP_TRY(esp_job_open_data(plan->comm, settings, plan->job.dense, "train", &data));
  const esp_status status = esp_job_open_shard(&pretended, settings, plan->job.dense, data, &shard);
  if (status == ESP_OK) {
    measure(plan, &shard, samples);
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
  plan->collect.halves =
      plan->collect.halves && json_is_true(json_object_get(meta, ESP_META_HALVES));
  plan->has_metric = uses_fisher(&plan->job);
  return read_data(plan, &settings, &plan->samples);
}

static esp_status read_stats(plan_job *plan) {
  esp_stats *stats = NULL, *stand_in = plan->job.stats;
  ESP_TRY(esp_stats_open(plan->comm, plan->job.settings->prune.stats, &stats));
  plan->collect.bins = stats->bins;
  plan->job.stats = stats;
  const esp_status status = read_meta(plan, stats->meta);
  plan->job.stats = stand_in;
  esp_stats_close(&stats);
  return status;
}

/* A criterion without data collects twice the samples at a time. */
static esp_status read_doublings(plan_job *plan) {
  esp_settings settings = *plan->job.settings;
  settings.data.data = (char *)(uintptr_t)ESP_MAXIMUM_ENTROPY; // borrowed
  plan->doublings = settings.plan.doublings;
  plan->earlier = ESP_NEW(plan_samples, plan->doublings);
  for (int64_t step = 0; step < plan->doublings; step++, settings.data.samples *= 2)
    ESP_TRY(read_data(plan, &settings, &plan->earlier[step]));
  return read_data(plan, &settings, &plan->samples);
}

static esp_status read_collection(plan_job *plan) {
  ESP_TRY(plan->job.criterion->is_data_free ? read_doublings(plan)
                                            : read_data(plan, plan->job.settings, &plan->samples));
  plan->has_metric =
      esp_collect_count_fisher_rows(plan->job.dense, &plan->collect, &plan->samples.shard) > 0;
  return ESP_OK;
}

static esp_status read_calibration(plan_job *plan) {
  if (plan->collects) return read_collection(plan);
  return plan->job.settings->prune.stats ? read_stats(plan) : ESP_OK;
}

/* As prune collects what is not given. */
static esp_collect_options choose_options(const prune_job *job) {
  esp_collect_options options = job->settings->collect;
  options.width = reads_stream(job);
  options.halves = job->settings->prune.stability;
  if (!wants_fisher(job)) options.fisher_tokens = 0;
  return options;
}

/* Masks by weights alone read none. */
esp_status plan_read_samples(plan_job *plan) {
  const prune_job *job = &plan->job;
  plan->collects = needs_stats(job) && !job->settings->prune.stats;
  plan->collect = choose_options(job);
  plan->logits = esp_collect_count_logits(job->dense, &plan->collect);
  if (needs_stats(job)) ESP_TRY(read_calibration(plan));
  if (!has_data_for_repair(job)) return ESP_OK;
  plan->fit = ESP_NEW(plan_samples, 1);
  return read_data(plan, job->settings, plan->fit);
}

static void clear(plan_samples *samples) {
  for (int half = ESP_WHOLE; half <= ESP_ODD; half++) esp_stats_shape_clear(&samples->stats[half]);
  esp_shard_shape_clear(&samples->shard);
}

void plan_clear_samples(plan_job *plan) {
  for (int64_t i = 0; plan->earlier && i < plan->doublings; i++) clear(&plan->earlier[i]);
  if (plan->fit) clear(plan->fit);
  clear(&plan->samples);
  esp_free(&plan->earlier);
  esp_free(&plan->fit);
}

const plan_samples *plan_samples_of_repair(const plan_job *plan) {
  return plan->fit ? plan->fit : &plan->samples;
}

bool plan_repair_reads(const plan_job *plan) {
  const prune_job *job = &plan->job;
  return job->repair->needs_data || (has_width(job) && job->repair->needs_data_for_width);
}

bool plan_holds_samples(const plan_job *plan) {
  return plan_repair_reads(plan) || plan->tries;
}
