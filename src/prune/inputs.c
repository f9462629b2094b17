#include "inputs.h"

#include "allocation_choice.h"
#include "extent.h"
#include "structure.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <unistd.h>

esp_status inputs_check_made(const esp_prune_request *request, const esp_stats *stats) {
  const char *data = stats->about.data;
  if (!request->criterion->is_data_free || esp_dataset_is_made(data)) return ESP_OK;
  return esp_fail(
      ESP_MISMATCH,
      "%s: criterion '%s' uses no data, but these statistics were made from %s; collect "
      "with --data " ESP_MAXIMUM_ENTROPY ", or leave --stats out",
      stats->path, request->criterion->name, data ? data : "some");
}

static esp_status check_stream(const esp_prune_request *request, const esp_stats *stats) {
  const char *option = structures_read_stream(request);
  if (!option || stats->about.has_width) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: %s needs the residual stream, which was not collected; collect again, with "
                  "--width",
                  stats->path, option);
}

static esp_status check_covariance(const esp_prune_request *request, const esp_stats *stats) {
  if (!structures_read_covariance(request) || stats->about.has_covariance) return ESP_OK;
  return esp_fail(
      ESP_MISMATCH,
      "%s: criterion '%s' and repair '%s' need covariances, but they were collected "
      "with --no-covariance; collect again, or choose --moments codes and --repair none",
      stats->path, request->criterion->name, request->repair->name);
}

/* What a pruning has collected for itself alone may have been left by one that was killed. */
static esp_status check_codes(const esp_prune_request *request, const esp_stats *stats) {
  if (stats->about.has_codes || !request->extent.codes) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: expected codes, but a pruning collected these statistics for itself alone, "
                  "without; collect again",
                  stats->path);
}

/* Whether the statistics have what the job needs. */
static esp_status check_statistics(prune_job *job) {
  const esp_prune_request *request = job->request;
  ESP_TRY(esp_stats_check(job->stats, request->dense, NULL));
  ESP_TRY(journal_check_statistics(&job->journal, job->stats));
  ESP_TRY(esp_samples_check_ranks(job->comm->size, job->stats->n_batches,
                                  request->settings->run.allow_idle));
  ESP_TRY(check_codes(request, job->stats));
  ESP_TRY(check_stream(request, job->stats));
  ESP_TRY(inputs_check_made(request, job->stats));
  ESP_TRY(metric_check(request, job->stats));
  return check_covariance(request, job->stats);
}

esp_collect_settings esp_prune_collection_of(const esp_prune_request *request) {
  esp_collect_settings settings = esp_prune_settings_of_collection(request->settings);
  settings.collect.halves = request->settings->prune.stability;
  settings.streams = structures_read_stream(request) != NULL;
  if (!metric_is_wanted(request)) settings.collect.fisher_tokens = 0;
  extent_apply(request, &settings.collect);
  return settings;
}

/* An interrupted run may have collected already. */
static esp_status collect_unless_done(prune_job *job, const esp_collect_settings *settings,
                                      esp_shard *shard, const char *path) {
  esp_model *dense = job->request->dense;
  json_t *collection = esp_collect_describe(job->comm, settings, dense, shard);
  const esp_status status = journal_open_statistics(&job->journal, collection, path, &job->stats);
  json_decref(collection);
  if (status != ESP_OK || job->stats) return status;
  ESP_TRY(esp_collect_described(job->comm, settings, dense, shard, path));
  return esp_stats_open(job->comm, path, &job->stats);
}

static esp_status collect_to(prune_job *job, const esp_collect_settings *settings,
                             const char *path) {
  const esp_samples samples = esp_samples_of(&settings->run, &settings->data, "train");
  esp_model *dense = job->request->dense;
  esp_dataset *data = NULL;
  esp_shard shard;
  ESP_TRY(esp_samples_open_data(job->comm, &samples, dense, &data));
  esp_status status = esp_samples_open_shard_local(job->comm, &samples, dense, data, &shard);
  if (status == ESP_OK) {
    status = collect_unless_done(job, settings, &shard, path);
    esp_shard_clear(&shard);
  }
  esp_dataset_close(&data);
  return status;
}

/* Under a name of its own where nobody asked for them: others may have been kept under the other.
 */
static char *name_statistics(const esp_prune_settings *settings) {
  return esp_format(settings->prune.keep_stats ? "%s.stats.h5" : "%s.stats.tmp",
                    settings->run.output);
}

esp_status inputs_collect(prune_job *job, const char *data, int64_t samples) {
  esp_collect_settings settings = esp_prune_collection_of(job->request);
  char *path = name_statistics(job->request->settings);
  job->has_collected = true;
  settings.data.data = (char *)(uintptr_t)data; // borrowed
  settings.data.samples = samples;
  esp_phases_begin(&job->phases, "collect");
  esp_stats_close(&job->stats);
  const esp_status status = collect_to(job, &settings, path);
  if (status == ESP_OK && job->request->settings->prune.keep_stats)
    esp_log_info("statistics kept in %s; reuse them with --stats", path);
  esp_free(&path);
  return status == ESP_OK ? check_statistics(job) : status;
}

static void note_nothing(prune_job *job) {
  char **note = &job->report.statistics_note;
  *note = esp_format("neither criterion '%s' nor repair '%s' reads statistics, so nothing was "
                     "measured",
                     job->request->criterion->name, job->request->repair->name);
  esp_log_info("%s", *note);
}

/* What a run that is begun again had collected, where this one collects nothing. Statistics that
 * are read may stand under that name. */
static void remove_left(const prune_job *job) {
  const esp_prune_settings *settings = job->request->settings;
  const char *const endings[] = {".partial", ".journal", ""};
  const int n = settings->prune.stats ? 2 : 3;
  char *path = name_statistics(settings);
  for (int i = 0; i < n && job->comm->rank == 0 && settings->run.restart; i++) {
    char *left = esp_format("%s%s", path, endings[i]);
    unlink(left);
    esp_free(&left);
  }
  esp_free(&path);
}

esp_status inputs_open_statistics(prune_job *job) {
  const esp_prune_settings *settings = job->request->settings;
  const bool is_read = esp_prune_reads_statistics(job->request);
  if ((!is_read || settings->prune.stats) && !settings->prune.keep_stats) remove_left(job);
  if (!is_read) {
    note_nothing(job);
    return ESP_OK;
  }
  esp_phases_begin(&job->phases, "read");
  if (!settings->prune.stats)
    return inputs_collect(job, settings->data.data, settings->data.samples);
  ESP_TRY(esp_stats_open(job->comm, settings->prune.stats, &job->stats));
  return check_statistics(job);
}

esp_samples esp_prune_samples_of(const esp_prune_request *request, const esp_stats_about *about) {
  const esp_prune_settings *settings = request->settings;
  esp_samples samples = esp_samples_of(&settings->run, &settings->data, "train");
  samples.count = about->samples;
  samples.micro_batch = about->micro_batch;
  samples.seed = about->seed;
  samples.split = about->split;
  esp_samples_read_again(&samples, about->data, about->context, about->pad);
  if (esp_dataset_is_made(samples.data))
    samples.count *= esp_samples_count_entropy_rows(request->dense);
  return samples;
}

static esp_status open_samples(prune_job *job) {
  const esp_prune_request *request = job->request;
  const bool is_other = esp_prune_reads_other_data(request);
  const esp_samples samples =
      is_other ? esp_samples_of(&request->settings->run, &request->settings->data, "train")
               : esp_prune_samples_of(request, &job->stats->about);
  ESP_TRY(esp_samples_open_data(job->comm, &samples, request->dense, &job->data));
  ESP_TRY(is_other ? journal_check_data(&job->journal, job->data)
                   : esp_stats_check(job->stats, request->dense, job->data));
  ESP_TRY(
      esp_samples_open_shard_local(job->comm, &samples, request->dense, job->data, &job->shard));
  job->has_shard = true;
  return ESP_OK;
}

/* Where only trials read samples, there is a way without. */
esp_status inputs_open_samples(prune_job *job) {
  if (esp_prune_repairs_from_samples(job->request)) return open_samples(job);
  if (!allocation_wants_samples(job)) return ESP_OK;
  const esp_status status = open_samples(job);
  if (status == ESP_OK) return ESP_OK;
  return esp_fail(status, "%s; counts are tried on it: give --data PATH, or --allocation uniform",
                  esp_failure_text());
}

void inputs_discard(prune_job *job) {
  const esp_prune_settings *settings = job->request->settings;
  if (settings->prune.keep_stats || !job->has_collected) return;
  esp_stats_close(&job->stats);
  char *path = name_statistics(settings);
  if (job->comm->rank == 0) unlink(path);
  esp_free(&path);
}

void inputs_close(prune_job *job) {
  if (job->has_shard) esp_shard_clear(&job->shard);
  esp_dataset_close(&job->data);
  esp_stats_close(&job->stats);
}
