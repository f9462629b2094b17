/* The samples that a job reads, as they would be dealt to its ranks, without a pass over them. */
#include "plan_job.h"

#include "espalier/core/memory.h"
#include "espalier/flow/samples.h"

static void measure(const plan_job *plan, const esp_shard *shard, plan_samples *samples) {
  const esp_collect_options *collect = &plan->sketch->collect;
  esp_stats_shape *whole = &samples->stats[ESP_WHOLE];
  esp_shard_shape_init(&samples->shard, shard, plan->ranks);
  esp_stats_shape_init(whole, &samples->shard, (int)collect->bins, collect->halves);
  whole->lacks_codes = collect->leaves_codes;
  for (int half = ESP_EVEN; half <= ESP_ODD; half++)
    esp_stats_shape_init_half(&samples->stats[half], &samples->shard, whole, (esp_half)half);
}

static esp_status read_data(const plan_job *plan, const esp_samples *from, plan_samples *samples) {
  const esp_comm pretended = esp_comm_pretend(0, plan->ranks);
  const esp_model *dense = plan->request->dense;
  esp_dataset *data = NULL;
  esp_shard shard;
  ESP_TRY(esp_samples_open_data(plan->comm, from, dense, &data));
  const esp_status status = esp_samples_open_shard_local(&pretended, from, dense, data, &shard);
  if (status == ESP_OK) {
    measure(plan, &shard, samples);
    esp_shard_clear(&shard);
  }
  esp_dataset_close(&data);
  return status;
}

static esp_samples samples_asked(const plan_job *plan) {
  const esp_prune_settings *settings = plan->request->settings;
  return esp_samples_of(&settings->run, &settings->data, "train");
}

static esp_status read_recovery(plan_job *plan, const esp_stats_about *about) {
  return esp_prune_compute_recovery_cost(plan->comm, plan->sketch, about, &plan->recovery);
}

/* Statistics tell how they were collected; the data set is there for repairs that pass over it. */
static esp_status read_statistics(plan_job *plan) {
  const esp_prune_request *request = plan->request;
  esp_stats *stats = NULL;
  ESP_TRY(esp_stats_open(plan->comm, request->settings->prune.stats, &stats));
  esp_status status = esp_prune_sketch_read(plan->sketch, stats);
  if (status == ESP_OK) {
    esp_samples from = esp_prune_samples_of(request, &stats->about);
    if (esp_prune_reads_other_data(request)) {
      from.data = NULL;
      from.context = 0;
      from.pad = false;
      esp_samples_read_again(&from, stats->about.data, stats->about.context, stats->about.pad);
    }
    status = read_data(plan, &from, &plan->samples);
    if (status == ESP_OK) status = read_recovery(plan, &stats->about);
  }
  esp_stats_close(&stats);
  return status;
}

/* A criterion without data collects twice the samples at a time. */
static esp_status read_rounds(plan_job *plan) {
  esp_samples from = samples_asked(plan);
  from.data = ESP_MAXIMUM_ENTROPY;
  plan->doublings = plan->options->doublings;
  plan->earlier = ESP_NEW(plan_samples, plan->doublings);
  for (int64_t round = 0; round < plan->doublings; round++, from.count *= 2)
    ESP_TRY(read_data(plan, &from, &plan->earlier[round]));
  return read_data(plan, &from, &plan->samples);
}

static esp_status read_collection(plan_job *plan) {
  const esp_samples from = samples_asked(plan);
  ESP_TRY(esp_prune_has_rounds(plan->request) ? read_rounds(plan)
                                              : read_data(plan, &from, &plan->samples));
  esp_prune_sketch_collect(plan->sketch, &plan->samples.shard);
  return ESP_OK;
}

/* Where only weights are read, statistics have nothing. */
esp_status plan_read_samples(plan_job *plan) {
  const esp_prune_request *request = plan->request;
  const esp_samples from = samples_asked(plan);
  const bool reads = esp_prune_reads_statistics(request), is_there = request->settings->prune.stats;
  plan->collects = reads && !is_there;
  plan->samples.stats[ESP_WHOLE].lacks_codes = !reads;
  if (reads) ESP_TRY(is_there ? read_statistics(plan) : read_collection(plan));
  if (!reads || !is_there) ESP_TRY(read_recovery(plan, NULL));
  if (!esp_prune_reads_other_data(request)) return ESP_OK;
  plan->fit = ESP_NEW(plan_samples, 1);
  return read_data(plan, &from, plan->fit);
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

bool plan_holds_samples(const plan_job *plan) {
  return esp_prune_repairs_from_samples(plan->request) || plan->sketch->tries;
}
