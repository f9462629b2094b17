/* What of a collection is finished. The statistics' layout is made first (io/h5.h), so that a
 * killed run leaves a readable PATH.partial; PATH.journal names the sites whose data are on disk. A
 * resumed run computes the states again, which are the same at any rank count, and skips these
 * sites. */
#include "collect_internal.h"

#include "espalier/core/interrupt.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

esp_site_name collect_name_fisher(const esp_model *model, int stage) {
  esp_site_name name;
  snprintf(name.text, sizeof name.text, "fisher %s", model->stages[stage].name);
  return name;
}

static bool has_fisher(const collect_pass *pass) {
  return collect_count_fisher_rows(pass->model, pass->shard, pass->options) > 0;
}

static int count_units(const collect_pass *pass) {
  int n = collect_has_logits(pass->options) + (pass->has_width ? pass->model->n_stages + 1 : 0);
  for (int s = 0; s < pass->model->n_stages; s++) {
    n += collect_has_site(pass->options, s);
    n += has_fisher(pass) && collect_is_full(pass->options, s);
  }
  return n;
}

static esp_status lay_out_site(collect_pass *pass, const char *name, int64_t features,
                               bool covariance) {
  esp_site_stats site;
  float full = 0.0F; // only whether it is there matters
  esp_site_stats_init(&site, name, features, pass->stats->bins);
  if (covariance && !pass->options->plain_halves) site.covariance = &full;
  esp_status status = pass->options->halves ? esp_stats_write_half(pass->stats, &site) : ESP_OK;
  if (covariance) site.covariance = &full;
  if (status == ESP_OK) status = esp_stats_write_site(pass->stats, &site);
  site.covariance = NULL;
  esp_site_stats_clear(&site);
  return status;
}

static esp_status lay_out_stream(collect_pass *pass, int stage) {
  const esp_site_name name = esp_stats_name_reader(pass->model, stage);
  if (!pass->has_width) return ESP_OK;
  return lay_out_site(pass, name.text, pass->model->width.units,
                      collect_has_full_streams(pass->options));
}

static esp_status lay_out_logits(collect_pass *pass) {
  const int64_t n = collect_count_logits(pass->model, pass->options);
  const esp_h5_shape shape = {ESP_I64, 1, {n}};
  ESP_TRY(lay_out_site(pass, ESP_SITE_LOGITS, n, false));
  return esp_h5_write_root(pass->stats->file, "/" ESP_SITE_LOGITS "/units", &shape, NULL);
}

static esp_status lay_out_all(collect_pass *pass) {
  const esp_model *model = pass->model;
  for (int i = 0; i < model->n_stages; i++) {
    ESP_TRY(lay_out_stream(pass, i));
    if (!collect_has_site(pass->options, i)) continue;
    ESP_TRY(lay_out_site(pass, model->stages[i].name, esp_stage_features(&model->stages[i]),
                         pass->options->covariance && collect_is_full(pass->options, i)));
  }
  ESP_TRY(collect_lay_out_layers(pass));
  ESP_TRY(lay_out_stream(pass, model->n_stages));
  if (collect_has_logits(pass->options)) ESP_TRY(lay_out_logits(pass));
  for (int i = model->n_stages - 1; i >= 0 && has_fisher(pass); i--)
    if (collect_is_full(pass->options, i))
      ESP_TRY(esp_stats_write_fisher(pass->stats, model->stages[i].name, model->stages[i].state_out,
                                     NULL));
  return esp_stats_fill(pass->stats);
}

static esp_stats_rows list_rows(const collect_pass *pass) {
  const esp_shard *shard = pass->shard;
  int64_t *valid = ESP_NEW(int64_t, shard->n_batches);
  for (int64_t i = 0; i < shard->n_batches; i++) valid[i] = esp_shard_count_valid(shard, i);
  return (esp_stats_rows){shard->n_batches, esp_shard_count_rows(shard), valid};
}

static void release_rows(const esp_stats_rows *rows) {
  esp_release((void *)(uintptr_t)rows->valid);
}

static esp_status create(collect_pass *pass, json_t *meta, const char *path) {
  const esp_stats_rows rows = list_rows(pass);
  const esp_status status =
      esp_stats_lay_out(pass->comm, path, json_incref(meta), &rows, &pass->stats);
  release_rows(&rows);
  return status == ESP_OK ? lay_out_all(pass) : status;
}

static bool has_file(const esp_comm *comm, const char *path) {
  int exists = comm->rank == 0 && access(path, R_OK) == 0;
  esp_bcast(comm, &exists, sizeof exists, 0);
  return exists != 0;
}

/* A run may have been killed when its file had its name already, and only the journal was left to
 * be removed. */
static bool find_complete(const collect_pass *pass, const json_t *meta, const char *path) {
  char *partial = esp_format("%s.partial", path);
  const bool is_renamed = !has_file(pass->comm, partial) && has_file(pass->comm, path);
  esp_stats *stats = NULL;
  esp_free(&partial);
  if (!is_renamed || esp_stats_open(pass->comm, path, &stats) != ESP_OK) return false;
  const bool is_ours = esp_stats_is_of_local(stats, meta);
  esp_stats_close(&stats);
  return is_ours;
}

/* What can't be gone on with is done again. */
static esp_status resume(collect_pass *pass, json_t *meta, const char *path) {
  pass->is_complete = find_complete(pass, meta, path);
  if (pass->is_complete) {
    esp_log_info("collect: %s was complete", path);
    return ESP_OK;
  }
  const esp_stats_rows rows = list_rows(pass);
  const esp_status status =
      esp_stats_resume(pass->comm, path, json_incref(meta), &rows, &pass->stats);
  release_rows(&rows);
  if (status == ESP_OK) {
    esp_log_info("collect: resuming after %d of %d sites", esp_journal_count_local(pass->journal),
                 count_units(pass));
    return ESP_OK;
  }
  esp_log_warn("cannot resume: %s; beginning again", esp_failure_text());
  ESP_TRY(esp_journal_restart(pass->journal));
  return create(pass, meta, path);
}

static esp_status open_statistics(collect_pass *pass, json_t *meta, const char *path) {
  ESP_TRY(esp_journal_open(pass->comm, path, meta, pass->options->restart, &pass->journal));
  return esp_journal_is_resumed_local(pass->journal) ? resume(pass, meta, path)
                                                     : create(pass, meta, path);
}

esp_status collect_begin(collect_pass *pass, json_t *meta, const char *path) {
  const esp_status status = open_statistics(pass, meta, path);
  pass->pending = ESP_NEW(esp_site_name, count_units(pass));
  pass->saved_s = esp_now_s();
  json_decref(meta);
  return status == ESP_OK ? status : collect_end(pass, status);
}

bool collect_is_done_local(const collect_pass *pass, const char *unit) {
  return esp_journal_find_local(pass->journal, unit) >= 0;
}

bool collect_has_sites_local(const collect_pass *pass) {
  const esp_site_name head = esp_stats_name_reader(pass->model, pass->model->n_stages);
  if (collect_has_logits(pass->options)) return collect_is_done_local(pass, ESP_SITE_LOGITS);
  if (pass->has_width) return collect_is_done_local(pass, head.text);
  for (int s = 0; s < pass->model->n_stages; s++)
    if (collect_has_site(pass->options, s) &&
        !collect_is_done_local(pass, pass->model->stages[s].name))
      return false;
  return true;
}

static esp_status save_pending(collect_pass *pass) {
  ESP_TRY(esp_h5_flush(pass->stats->file));
  for (int i = 0; i < pass->n_pending; i++)
    ESP_TRY(esp_journal_append(pass->journal, pass->pending[i].text, "", 0));
  pass->n_pending = 0;
  pass->saved_s = esp_now_s();
  return ESP_OK;
}

esp_status collect_mark_done(collect_pass *pass, const char *unit) {
  char done[96];
  const bool is_time = esp_now_s() - pass->saved_s >= pass->options->save_every_s;
  const bool saves = pass->comm->rank == 0 && is_time;
  snprintf(pass->pending[pass->n_pending].text, sizeof pass->pending->text, "%s", unit);
  pass->n_pending++;
  const int64_t asked = esp_agree_max_i64(pass->comm, esp_interrupt_seen() ? 2 : saves ? 1 : 0);
  if (asked == 0) return ESP_OK;
  ESP_TRY(save_pending(pass));
  if (asked < 2) return ESP_OK;
  snprintf(done, sizeof done, "after %d of %d sites", esp_journal_count_local(pass->journal),
           count_units(pass));
  return esp_journal_check_interrupt(pass->journal, done);
}

esp_status collect_end(collect_pass *pass, esp_status status) {
  if (status == ESP_OK && !pass->is_complete)
    status = esp_stats_commit(&pass->stats);
  else if (esp_journal_is_kept_local(pass->journal, status))
    esp_stats_keep(&pass->stats);
  else
    esp_stats_close(&pass->stats);
  esp_journal_close(&pass->journal, status);
  esp_free(&pass->pending);
  return status;
}
