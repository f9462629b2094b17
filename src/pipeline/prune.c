#include "espalier/pipeline/prune.h"
#include "pipeline.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/io/file.h"
#include "espalier/io/h5.h"
#include "espalier/pipeline/job.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static esp_status check_settings(prune_job *job) {
  const esp_settings *settings = job->settings;
  if (!settings->run.output)
    return esp_fail(ESP_USAGE, "prune: expected where to write the pruned model; give -o FILE");
  ESP_TRY(esp_criterion_find(settings->prune.criterion, &job->criterion));
  ESP_TRY(find_allocation(job));
  ESP_TRY(esp_repair_find(settings->repair.name, &job->repair));
  return esp_h5_check_writable(job->comm, settings->run.output, 0);
}

static esp_status collect_to(const esp_comm *comm, const esp_settings *settings, esp_model *model,
                             esp_shard *shard, bool width, const char *path) {
  const esp_collect_options options = {.bins = (int)settings->collect.bins,
                                       .pilot = settings->collect.pilot,
                                       .covariance = settings->collect.covariance,
                                       .width = width,
                                       .halves = settings->collect.halves,
                                       .fisher_tokens = settings->collect.fisher_tokens,
                                       .seed = (uint64_t)settings->run.seed,
                                       .top_units = settings->collect.top_units,
                                       .save_every_s = settings->run.save_every,
                                       .restart = settings->run.restart};
  esp_log_info("collect: %" PRId64 " samples in %" PRId64 " micro-batches over %d ranks",
               shard->samples, shard->n_batches, comm->size);
  return esp_collect(comm, model, shard, &options,
                     esp_job_describe_collection(comm, settings, model, shard), path);
}

/* Settings of the samples as they were when the statistics were made, for a second pass over them.
 */
static esp_settings settings_of_collection(const prune_job *job) {
  const json_t *meta = job->stats->meta;
  esp_settings settings = *job->settings;
  settings.data.samples = json_integer_value(json_object_get(meta, "samples"));
  settings.data.micro_batch = json_integer_value(json_object_get(meta, "micro_batch"));
  settings.run.seed = json_integer_value(json_object_get(meta, "seed"));
  settings.data.split =
      (char *)(uintptr_t)json_string_value(json_object_get(meta, "split")); // borrowed
  if (!settings.data.data)
    settings.data.data = (char *)(uintptr_t)json_string_value(json_object_get(meta, "data"));
  if (esp_dataset_is_made(settings.data.data))
    settings.data.samples *= esp_job_entropy_rows(job->dense);
  return settings;
}

static esp_status open_samples(prune_job *job) {
  const bool is_other = has_data_for_repair(job);
  const esp_settings settings = is_other ? *job->settings : settings_of_collection(job);
  ESP_TRY(esp_job_open_data(job->comm, &settings, job->dense, "train", &job->data));
  ESP_TRY(is_other ? journal_check_repair_data(job)
                   : esp_stats_check(job->stats, job->dense, job->data));
  ESP_TRY(esp_job_open_shard(job->comm, &settings, job->dense, job->data, &job->shard));
  job->has_shard = true;
  return ESP_OK;
}

bool reads_stream(const prune_job *job) {
  return has_width(job) || drops_layers(job) || uses_own_output(job) ||
         (is_unstructured(job) && job->dense->width.units > 0);
}

/* An interrupted run may have collected already. */
static esp_status collect_unless_done(prune_job *job, const esp_settings *settings,
                                      esp_shard *shard, const char *path) {
  json_t *collection = esp_job_describe_collection(job->comm, settings, job->dense, shard);
  esp_status status = journal_open_statistics(job, collection, path);
  json_decref(collection);
  if (status != ESP_OK || job->stats) return status;
  ESP_TRY(collect_to(job->comm, settings, job->dense, shard, reads_stream(job), path));
  return esp_stats_open(job->comm, path, &job->stats);
}

esp_status collect_first(prune_job *job, const esp_settings *asked) {
  esp_settings settings = *asked;
  settings.collect.halves = settings.prune.stability;
  if (!wants_fisher(job)) settings.collect.fisher_tokens = 0;
  char *path = esp_format("%s.stats.h5", job->settings->run.output);
  esp_dataset *data = NULL;
  esp_shard shard;
  esp_phases_begin(&job->phases, "collect");
  esp_status status = esp_job_open_data(job->comm, &settings, job->dense, "train", &data);
  if (status == ESP_OK) status = esp_job_open_shard(job->comm, &settings, job->dense, data, &shard);
  if (status == ESP_OK) {
    status = collect_unless_done(job, &settings, &shard, path);
    esp_shard_clear(&shard);
  }
  if (status == ESP_OK) esp_log_info("statistics kept in %s; reuse them with --stats", path);
  esp_dataset_close(&data);
  esp_free(&path);
  return status;
}

static bool needs_covariance(const prune_job *job) {
  if (drops_layers(job)) return false;
  return job->repair->needs_covariance || needs_activation_covariance(job);
}

static esp_status check_width(const prune_job *job) {
  const char *asked = drops_layers(job)      ? "--sites block"
                      : has_width(job)       ? "--sites width"
                      : is_unstructured(job) ? "a mask by wanda"
                                             : "--upper output";
  if (!reads_stream(job) || json_is_true(json_object_get(job->stats->meta, ESP_META_WIDTH)))
    return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: %s needs the residual stream, which was not collected; collect again, with "
                  "--width",
                  job->stats->path, asked);
}

static esp_status open_stats(prune_job *job) {
  if (!needs_stats(job)) return ESP_OK;
  esp_phases_begin(&job->phases, "read");
  if (job->settings->prune.stats)
    ESP_TRY(esp_stats_open(job->comm, job->settings->prune.stats, &job->stats));
  else
    ESP_TRY(collect_first(job, job->settings));
  return check_stats(job);
}

esp_status check_stats(const prune_job *job) {
  ESP_TRY(esp_stats_check(job->stats, job->dense, NULL));
  ESP_TRY(journal_check_statistics(job));
  ESP_TRY(esp_job_check_ranks_local(job->comm, job->settings, job->stats->n_batches));
  ESP_TRY(check_width(job));
  ESP_TRY(check_made(job));
  ESP_TRY(check_metric(job));
  if (!needs_covariance(job) || json_is_true(json_object_get(job->stats->meta, "covariance")))
    return ESP_OK;
  return esp_fail(
      ESP_MISMATCH,
      "%s: criterion '%s' and repair '%s' need covariances, but they were collected "
      "with --no-covariance; collect again, or choose --moments codes and --repair none",
      job->stats->path, job->criterion->name, job->repair->name);
}

static esp_status cut_local(prune_job *job) {
  if (drops_layers(job))
    return esp_model_drop_layers(job->dense, job->layers.kept, job->layers.n_kept, &job->pruned);
  return esp_model_cut(job->dense, &job->selection, &job->pruned);
}

static esp_status cut_and_repair(prune_job *job) {
  esp_phases_begin(&job->phases, "cut");
  ESP_TRY(esp_agree(job->comm, cut_local(job)));
  esp_phases_begin(&job->phases, "repair");
  esp_repair_job repair = {.comm = job->comm,
                           .dense = job->dense,
                           .pruned = job->pruned,
                           .selection = &job->selection,
                           .stats = job->stats,
                           .shard = job->has_shard ? &job->shard : NULL,
                           .ridge = job->settings->repair.ridge,
                           .journal = job->journal,
                           .report = job->repairs};
  if (drops_layers(job)) return job->repair->apply_to_layers(&repair, job->layers.kept);
  ESP_TRY(job->repair->apply(&repair));
  return is_unstructured(job) ? mask_weights(job) : ESP_OK;
}

/* NAME.report.json: the file's report, and what depends on the run: ranks, times, memory. */
static esp_status write_report(prune_job *job, json_t *report) {
  esp_phases_end(&job->phases);
  json_t *run = esp_phases_gather(job->comm, &job->phases);
  esp_phases_log(run);
  json_object_set_new(report, "run", run);
  json_object_set_new(report, "ranks", json_integer(job->comm->size));
  json_object_set_new(report, "output", json_string(job->settings->run.output));
  char *path = esp_format("%s.report.json", job->settings->run.output);
  char *text = json_dumps(report, JSON_INDENT(2) | JSON_SORT_KEYS);
  const esp_status status = esp_file_write_text(job->comm, path, text);
  free(text);
  esp_free(&path);
  return status;
}

static bool repair_reads(const prune_job *job) {
  return job->repair->needs_data || (has_width(job) && job->repair->needs_data_for_width);
}

/* Where only trials read samples, there is a way without. */
static esp_status open_samples_to_try(prune_job *job) {
  const esp_status status = open_samples(job);
  if (status == ESP_OK) return ESP_OK;
  return esp_fail(status, "%s; counts are tried on it: give --data PATH, or --allocation uniform",
                  esp_failure_text());
}

static esp_status run(prune_job *job, const char *path, json_t **report) {
  ESP_TRY(check_settings(job));
  esp_phases_begin(&job->phases, "read");
  ESP_TRY(esp_model_open(job->comm, path, &job->dense));
  if (strcmp(job->settings->prune.heads, "group") == 0)
    for (int i = 0; i < job->dense->n_stages; i++) esp_stage_merge_groups(&job->dense->stages[i]);
  ESP_TRY(choose_sites(job));
  ESP_TRY(check_structure(job));
  ESP_TRY(check_data_free(job));
  ESP_TRY(check_allocation(job));
  ESP_TRY(journal_open(job));
  if (is_unstructured(job)) ESP_TRY(select_whole(job));
  ESP_TRY(doubles_samples(job) ? collect_until_stable(job) : open_stats(job));
  if (repair_reads(job))
    ESP_TRY(open_samples(job));
  else if (wants_samples_to_try(job))
    ESP_TRY(open_samples_to_try(job));
  ESP_TRY(choose_allocation(job));
  if (drops_layers(job))
    ESP_TRY(layers_select(job));
  else if (!job->scores)
    ESP_TRY(select_from_top(job));
  if (!is_unstructured(job) && !drops_layers(job)) ESP_TRY(measure_stability(job));
  ESP_TRY(cut_and_repair(job));
  esp_phases_begin(&job->phases, "write");
  *report = make_report(job);
  ESP_TRY(write_pruned(job, *report));
  ESP_TRY(write_report(job, *report));
  log_warnings(*report);
  return ESP_OK;
}

static void clear_selection(prune_job *job) {
  for (int i = 0; job->scores && i <= job->dense->n_stages; i++) esp_free(&job->scores[i]);
  esp_free(&job->scores);
  for (int i = 0; job->order && i < job->dense->n_stages; i++) esp_free(&job->order[i]);
  esp_free(&job->order);
  esp_free(&job->n_ranked);
  esp_free(&job->whole);
  information_drop_stage(job);
  esp_free(&job->n_keep);
  json_decref(job->allocated);
  job->allocated = NULL;
  layers_clear(job);
  if (job->selection.kept) esp_selection_clear(&job->selection);
  json_decref(job->sites); // a report may hold the old ones
  job->sites = json_array();
  json_object_clear(job->stability);
  job->checksum = 0;
}

esp_status select_from_top(prune_job *job) {
  clear_selection(job);
  esp_selection_init(&job->selection, job->dense->n_stages);
  job->scores = ESP_NEW(double *, job->dense->n_stages + 1);
  job->order = ESP_NEW(int64_t *, job->dense->n_stages);
  job->n_ranked = ESP_NEW(int, job->dense->n_stages);
  job->whole = ESP_NEW(double, job->dense->n_stages);
  return run_chain(job);
}

static void clear(prune_job *job) {
  clear_selection(job);
  esp_free(&job->sparsity);
  esp_free(&job->is_fixed);
  esp_model_free(&job->pruned);
  esp_model_free(&job->dense);
  if (job->has_shard) esp_shard_clear(&job->shard);
  esp_dataset_close(&job->data);
  esp_stats_close(&job->stats);
  json_decref(job->sites);
  json_decref(job->repairs);
  json_decref(job->stability);
  json_decref(job->doublings);
  json_decref(job->matrices);
}

esp_status esp_prune(const esp_comm *comm, const esp_settings *settings, const char *path,
                     json_t **report) {
  prune_job job = {.comm = comm,
                   .settings = settings,
                   .sites = json_array(),
                   .repairs = json_object(),
                   .stability = json_object(),
                   .information_stage = -1};
  *report = NULL;
  const esp_status status = run(&job, path, report);
  esp_journal_close(&job.journal, status);
  clear(&job);
  return status;
}

