#include "espalier/pipeline/plan.h"
#include "plan.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/pipeline/job.h"
#include "espalier/select/budget.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t plan_features(const plan_job *plan, int stage) {
  return stage < plan->job.dense->n_stages ? esp_stage_features(&plan->job.dense->stages[stage])
                                           : plan->logits;
}

/* The next stage above with units, or n_stages: the logits. */
static int find_above(const plan_job *plan, int stage) {
  int above = stage + 1;
  while (above < plan->job.dense->n_stages && plan->job.dense->stages[above].units == 0) above++;
  return above;
}

int64_t plan_above(const plan_job *plan, int stage) {
  return uses_own_output(&plan->job) ? plan->job.dense->width.units
                                     : plan_features(plan, find_above(plan, stage));
}

int64_t plan_upper(const plan_job *plan, int stage) {
  if (uses_own_output(&plan->job)) return plan->job.dense->width.units;
  const int above = find_above(plan, stage);
  return above < plan->job.dense->n_stages
             ? plan->job.selection.n_kept[above] * plan->job.dense->stages[above].width
             : plan->logits;
}

static bool is_mapped(const esp_weight *weight) {
  bool is_whole = weight->type == ESP_F32 && !weight->is_final;
  for (int axis = 0; axis < weight->rank; axis++) is_whole = is_whole && !weight->keep[axis];
  return is_whole;
}

double plan_loaded_bytes(const esp_model *model, int stage) {
  double sum = 0.0;
  for (int i = 0; i < model->n_weights; i++) {
    const esp_weight *weight = &model->weights[i];
    const bool is_tied =
        stage == model->n_stages && model->is_head_tied && weight->stage == ESP_STAGE_EMBED;
    if ((weight->stage == stage || is_tied) && !is_mapped(weight))
      sum += 4.0 * (double)esp_weight_count(weight);
  }
  return sum;
}

bool plan_has_stability(const plan_job *plan) {
  const unsigned needs = ESP_NEEDS_INFORMATION | ESP_NEEDS_COVARIANCE | ESP_NEEDS_MOMENTS;
  return plan->parts == 2 && plan->n_batches > 1 && plan->job.criterion->needs & needs;
}

bool plan_is_selected(const plan_job *plan, int stage) {
  return plan->job.sparsity[stage] >= 0.0;
}

/* Masks leave all sizes as they are, and how much a criterion without data collects shows only as
 * it goes. */
static esp_status check_kind(const plan_job *plan) {
  if (!is_unstructured(&plan->job) && !plan->job.criterion->is_data_free) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "plan: expected a prune of whole units by calibration data, found %s '%s'; plan "
                  "it with another",
                  is_unstructured(&plan->job) ? "--structure" : "--criterion",
                  is_unstructured(&plan->job) ? plan->job.settings->structure
                                              : plan->job.criterion->name);
}

static esp_status open_model(plan_job *plan, const char *path) {
  prune_job *job = &plan->job;
  ESP_TRY(esp_criterion_find(job->settings->criterion, &job->criterion));
  ESP_TRY(esp_repair_find(job->settings->repair, &job->repair));
  ESP_TRY(esp_allocation_find("uniform", &job->allocation)); // any other keeps as many in all
  ESP_TRY(check_kind(plan));
  ESP_TRY(esp_model_open(plan->comm, path, &job->dense));
  if (strcmp(job->settings->heads, "group") == 0)
    for (int i = 0; i < job->dense->n_stages; i++) esp_stage_merge_groups(&job->dense->stages[i]);
  ESP_TRY(choose_sites(job));
  if (!drops_layers(job)) return ESP_OK;
  return esp_fail(ESP_USAGE, "plan: expected a prune of units, found --sites block, whole layers; "
                             "plan it with other sites");
}

static double count_data_bytes(const esp_dataset *data) {
  const double cells = (double)(data->count * data->width), count = (double)data->count;
  return cells *
             ((data->pixels ? 1.0 : 0.0) + (data->tokens ? 4.0 : 0.0) + (data->types ? 4.0 : 0.0)) +
         count * ((data->labels ? 4.0 : 0.0) + (data->lengths ? 4.0 : 0.0));
}

static int64_t count_pilot_rows(const plan_job *plan, const esp_shard *shard) {
  const int64_t wanted = (plan->job.settings->pilot + plan->batch_rows - 1) / plan->batch_rows;
  const int64_t n = wanted < 1 ? 1 : wanted < shard->n_batches ? wanted : shard->n_batches;
  int64_t rows = 0;
  for (int64_t i = 0; i < n; i++) rows += esp_shard_count_valid(shard, i * shard->n_batches / n);
  return rows;
}

/* The logits that are measured, as collect/logits.c counts them. */
static int64_t count_logits(const plan_job *plan) {
  const esp_model *model = plan->job.dense;
  const bool is_vocabulary = model->task == ESP_TASK_LANGUAGE || model->task == ESP_TASK_MASKED;
  const int64_t most = plan->job.settings->top_units;
  return is_vocabulary && most < model->n_outputs ? most : model->n_outputs;
}

static void measure_shard(plan_job *plan, const esp_shard *shard) {
  const esp_settings *settings = plan->job.settings;
  plan->batch_rows = esp_shard_count_rows(shard);
  plan->samples = shard->samples;
  plan->n_batches = shard->n_batches;
  plan->words = (plan->batch_rows + ESP_WORD_BITS - 1) / ESP_WORD_BITS;
  for (int64_t i = 0; i < shard->n_batches; i++) plan->rows += esp_shard_count_valid(shard, i);
  plan->pilot_rows = count_pilot_rows(plan, shard);
  plan->read_bytes = count_data_bytes(shard->data);
  plan->data_bytes = plan->read_bytes + 8.0 * (double)shard->data->count +
                     4.0 * (double)(shard->micro_batch * shard->data->width);
  const bool has_softmax = plan->job.dense->task != ESP_TASK_EMBED;
  const int64_t wanted = has_softmax && wants_fisher(&plan->job) ? settings->fisher_tokens : 0;
  plan->fisher_rows = wanted < plan->rows ? wanted : plan->rows;
}

static esp_status read_data(plan_job *plan, const esp_settings *settings) {
  const esp_comm pretended = {.mpi = plan->comm->mpi, .rank = 0, .size = plan->ranks};
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
static esp_status read_stats(plan_job *plan) {
  esp_settings settings = *plan->job.settings;
  esp_stats *stats = NULL;
  ESP_TRY(esp_stats_open(plan->comm, settings.stats, &stats));
  const json_t *meta = stats->meta;
  settings.samples = json_integer_value(json_object_get(meta, "samples"));
  settings.micro_batch = json_integer_value(json_object_get(meta, "micro_batch"));
  settings.seed = json_integer_value(json_object_get(meta, "seed"));
  settings.split = (char *)(uintptr_t)json_string_value(json_object_get(meta, "split"));
  if (!settings.data)
    settings.data = (char *)(uintptr_t)json_string_value(json_object_get(meta, "data"));
  plan->bins = stats->bins;
  plan->logits = json_integer_value(json_object_get(meta, ESP_META_LOGITS));
  const esp_status status = read_data(plan, &settings);
  esp_stats_close(&stats);
  return status;
}

/* Micro-batch 2 k + half is the half's k-th. */
static void count_half_words(plan_job *plan) {
  plan->half_words = ESP_NEW(int64_t, 2 * plan->ranks);
  for (int half = 0; half < 2; half++)
    for (int r = 0; r < plan->ranks; r++) {
      const int64_t begin = esp_block_begin(plan->n_batches, plan->ranks, r);
      const int64_t end = esp_block_begin(plan->n_batches, plan->ranks, r + 1);
      const int64_t count = (end + 1 - half) / 2 - (begin + 1 - half) / 2;
      plan->half_words[half * plan->ranks + r] = plan->words * count;
    }
}

static esp_status read_samples(plan_job *plan) {
  plan->collects = !plan->job.settings->stats;
  plan->bins = (int)plan->job.settings->bins;
  plan->logits = count_logits(plan);
  plan->has_covariance = plan->job.settings->covariance;
  plan->has_width = has_width(&plan->job) || uses_own_output(&plan->job);
  plan->parts = plan->job.settings->stability ? 2 : 1;
  ESP_TRY(plan->collects ? read_data(plan, plan->job.settings) : read_stats(plan));
  plan->rank_words = ESP_NEW(int64_t, plan->ranks);
  for (int r = 0; r < plan->ranks; r++)
    plan->rank_words[r] = plan->words * (esp_block_begin(plan->n_batches, plan->ranks, r + 1) -
                                         esp_block_begin(plan->n_batches, plan->ranks, r));
  plan->share = plan->rank_words[0] / plan->words;
  count_half_words(plan);
  return ESP_OK;
}

static void keep_width(prune_job *job) {
  const int at = job->dense->n_stages;
  const esp_budget_rule rule = {.sparsity = job->sparsity[at],
                                .multiple_of = job->settings->multiple_of,
                                .min_keep = job->settings->min_keep};
  const int64_t n = esp_budget_uniform(&rule, job->dense->width.units);
  job->selection.n_kept[at] = n;
  job->selection.kept[at] = ESP_NEW(int64_t, n);
  for (int64_t i = 0; i < n; i++) job->selection.kept[at][i] = i;
}

/* Sizes do not hang on which units are kept: the first ones are. */
static esp_status cut(plan_job *plan) {
  prune_job *job = &plan->job;
  const int n = job->dense->n_stages;
  esp_selection_init(&job->selection, n);
  job->scores = ESP_NEW(double *, n + 1);
  job->order = ESP_NEW(int64_t *, n + 1);
  for (int s = 0; s < n; s++) {
    job->order[s] = ESP_NEW(int64_t, job->dense->stages[s].units);
    for (int64_t u = 0; u < job->dense->stages[s].units; u++) job->order[s][u] = u;
  }
  ESP_TRY(allocate_units(job));
  for (int s = 0; s < n; s++)
    if (job->sparsity[s] >= 0.0)
      keep_units(job, s);
    else
      keep_all(job, s);
  if (has_width(job)) keep_width(job);
  return esp_model_cut(job->dense, &job->selection, &job->pruned);
}

/* The largest power of two that divides what a site keeps: kernels like 8 and more. */
static int64_t find_multiple(int64_t n) {
  return n > 0 ? n & -n : 0;
}

static json_t *describe_sites(const plan_job *plan) {
  json_t *sites = json_array();
  for (int s = 0; s < plan->job.dense->n_stages; s++) {
    const esp_stage *site = &plan->job.dense->stages[s];
    const int64_t kept = plan->job.selection.n_kept[s];
    json_array_append_new(
        sites, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "site", site->name, "kind", site->kind,
                         "units", (json_int_t)site->units, "kept", (json_int_t)kept, "multiple",
                         (json_int_t)find_multiple(kept * site->width), "groups",
                         (json_int_t)(site->per_group > 1 ? site->units / site->per_group : 1)));
  }
  return sites;
}

/* Evaluation is a job of its own. */
static double find_peak(const json_t *phases, const char **worst) {
  double peak = 0.0;
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)phases, name,
                      value) if (strcmp(name, "eval") != 0 && json_real_value(value) > peak) {
    peak = json_real_value(value);
    *worst = name;
  }
  return peak;
}

static json_t *describe_memory(const plan_job *plan) {
  char from[64];
  const char *worst = "";
  const double limit = plan_memory_limit(plan, from, sizeof from);
  json_t *phases = plan_memory(plan);
  const double peak = find_peak(phases, &worst);
  return json_pack("{s:o, s:f, s:f, s:f, s:s, s:f, s:s}", "phases", phases, "base_bytes",
                   plan->machine.base_bytes, "data_bytes", plan->data_bytes, "peak_bytes", peak,
                   "peak_phase", worst, "limit_bytes", limit, "limit_from", from);
}

static json_t *describe_machine(const plan_machine *machine) {
  return json_pack("{s:f, s:f, s:f, s:f}", "flops_per_s", machine->flops_per_s, "words_per_s",
                   machine->words_per_s, "copy_bytes_per_s", machine->copy_bytes_per_s,
                   "reduce_bytes_per_s", machine->reduce_bytes_per_s);
}

static json_t *describe(const plan_job *plan) {
  json_t *all = json_pack(
      "{s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "ranks", plan->ranks, "ranks_per_node",
      plan->ranks_per_node, "samples", (json_int_t)plan->samples, "rows", (json_int_t)plan->rows,
      "micro_batches", (json_int_t)plan->n_batches, "micro_batches_a_rank", (json_int_t)plan->share,
      "parameters_dense", (json_int_t)esp_model_count_parameters(plan->job.dense), "parameters",
      (json_int_t)esp_model_count_parameters(plan->job.pruned));
  json_object_set_new(all, "sites", describe_sites(plan));
  json_object_set_new(all, "memory", describe_memory(plan));
  json_object_set_new(all, "traffic", plan_traffic(plan));
  json_object_set_new(all, "reduce", plan_reduce(plan));
  json_object_set_new(all, "work", plan_work(plan));
  json_object_set_new(all, "files", plan_files(plan));
  json_object_set_new(all, "time_s", plan_time(plan));
  json_object_set_new(all, "calibration", describe_machine(&plan->machine));
  return all;
}

esp_status esp_plan_check(const json_t *report) {
  const json_t *memory = json_object_get(report, "memory");
  const double peak = json_real_value(json_object_get(memory, "peak_bytes"));
  const double limit = json_real_value(json_object_get(memory, "limit_bytes"));
  const double base = json_real_value(json_object_get(memory, "base_bytes"));
  const double data = json_real_value(json_object_get(memory, "data_bytes"));
  if (limit < 0.0 || peak <= limit) return ESP_OK;
  return esp_fail(
      ESP_USAGE,
      "plan: expected at most %.0f MiB a rank (%s), but %s needs %.0f MiB: programs and "
      "libraries %.0f + data set %.0f + the rest %.0f; use fewer ranks a node, more "
      "ranks in all, or fewer --samples",
      limit / 0x1p20, json_string_value(json_object_get(memory, "limit_from")),
      json_string_value(json_object_get(memory, "peak_phase")), peak / 0x1p20, base / 0x1p20,
      data / 0x1p20, (peak - base - data) / 0x1p20);
}

/* Ranks on a node: asked, or Slurm's, or all. */
static int count_ranks_per_node(const esp_settings *settings, int ranks) {
  const char *slurm = getenv("SLURM_NTASKS_PER_NODE");
  const int64_t told = slurm ? strtol(slurm, NULL, 10) : 0;
  const int64_t asked = settings->ranks_per_node > 0 ? settings->ranks_per_node : told;
  return asked > 0 && asked < ranks ? (int)asked : ranks;
}

static void clear(plan_job *plan) {
  prune_job *job = &plan->job;
  for (int i = 0; job->scores && i <= job->dense->n_stages; i++) esp_free(&job->scores[i]);
  for (int i = 0; job->order && i <= job->dense->n_stages; i++) esp_free(&job->order[i]);
  esp_free(&job->scores);
  esp_free(&job->order);
  esp_free(&job->sparsity);
  esp_free(&job->is_fixed);
  esp_free(&job->n_keep);
  json_decref(job->allocated);
  json_decref(plan->stats.meta);
  if (job->selection.kept) esp_selection_clear(&job->selection);
  esp_model_free(&job->pruned);
  esp_model_free(&job->dense);
  esp_free(&plan->rank_words);
  esp_free(&plan->half_words);
}

esp_status esp_plan(const esp_comm *comm, const esp_settings *settings, const char *path,
                    json_t **report) {
  const int ranks = settings->ranks > 0 ? (int)settings->ranks : comm->size;
  plan_job plan = {.job.settings = settings,
                   .comm = comm,
                   .ranks = ranks,
                   .ranks_per_node = count_ranks_per_node(settings, ranks)};
  *report = NULL;
  plan.stats.meta = json_pack("{s:I}", ESP_META_FISHER, (json_int_t)1);
  plan.job.stats = &plan.stats; // what is asked of the statistics before there are any
  plan_calibrate(comm, &plan.machine);
  esp_status status = open_model(&plan, path);
  if (status == ESP_OK) status = read_samples(&plan);
  plan.machine.base_bytes = plan_measure_base(comm);
  if (status == ESP_OK) status = cut(&plan);
  if (status == ESP_OK) *report = describe(&plan);
  clear(&plan);
  return status;
}
