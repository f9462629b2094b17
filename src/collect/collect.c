#include "collect_internal.h"

#include "espalier/core/memory.h"

/* Takes the state on to the next stage, if there is one to be run. */
static esp_status advance_local(collect_pass *pass, int stage, int64_t i, int64_t *rows) {
  const esp_step step = esp_stream_step(&pass->stream, stage, i);
  ESP_TRY(stage < pass->last ? esp_step_advance(&step, pass->x) : esp_step_produce(&step, pass->x));
  *rows =
      esp_batch_compact(&step.call.batch, esp_stage_features(&pass->model->stages[stage]), pass->x);
  return ESP_OK;
}

typedef struct site_source {
  collect_source give;
  int stage;
  bool has_covariance;
  bool advances; // the states
} site_source;

/* What the pilot has kept, or else the source gives. */
static esp_status find_rows(collect_pass *pass, const site_source *source,
                            const collect_pilot *pilot, site_rows *found) {
  const site_rows *kept = collect_pilot_find(pilot, found->i);
  if (kept) {
    *found = *kept;
    return ESP_OK;
  }
  found->x = pass->x;
  return source->give(pass, source->stage, found->i, &found->rows);
}

/* Encode and sum all micro-batches of this rank. */
static esp_status run_local(collect_pass *pass, const site_source *source,
                            const collect_pilot *pilot, esp_site_stats *site, site_sums *sums) {
  for (int64_t i = 0; i < pass->shard->count; i++) {
    site_rows batch = {.i = i};
    ESP_TRY(find_rows(pass, source, pilot, &batch));
    if (site->planes.words)
      esp_encode_planes(batch.x, batch.rows, site->features, site->edges, i * pass->stats->words,
                        &site->planes);
    ESP_TRY(site_sums_add_local(sums, pass, &batch));
    esp_progress_update(&pass->progress, ++pass->done, site->name);
  }
  return ESP_OK;
}

static esp_status write_half(collect_pass *pass, const site_sums *sums, const char *name) {
  if (!pass->options->halves) return ESP_OK;
  esp_site_stats even;
  esp_site_stats_init(&even, name, sums->features, pass->stats->bins);
  site_sums_give_even(sums, pass, &even);
  const esp_status status = esp_stats_write_half(pass->stats, &even);
  esp_site_stats_clear(&even);
  return status;
}

/* All that a site which is finished, or is not measured, leaves to do: its source may take the
 * states on. */
static esp_status pass_by_local(collect_pass *pass, const site_source *source) {
  pass->done += pass->shard->count;
  for (int64_t i = 0; i < pass->shard->count && source->advances; i++) {
    int64_t rows;
    ESP_TRY(source->give(pass, source->stage, i, &rows));
  }
  return ESP_OK;
}

/* Edges and scales from the pilot's micro-batches, then codes and sums of all. */
static esp_status measure_site(collect_pass *pass, const site_source *source, esp_site_stats *site,
                               const collect_scale *scale, site_sums *sums) {
  collect_pilot pilot;
  esp_status status = collect_pilot_take(pass, source->give, source->stage, site->features, &pilot);
  if (status == ESP_OK) {
    collect_pilot_measure(pass, &pilot, site, scale);
    site_sums_init(sums, pass, site->features, scale, source->has_covariance);
    if (!pass->options->leaves_codes)
      esp_planes_init(&site->planes, site->features, pass->stats->bins,
                      pass->shard->count * pass->stats->words);
    status = esp_agree(pass->comm, run_local(pass, source, &pilot, site, sums));
    esp_stream_free_scratch(&pass->stream);
  }
  collect_pilot_clear(&pilot);
  return status;
}

static esp_status collect_site(collect_pass *pass, const site_source *source,
                               esp_site_stats *site) {
  const bool is_left = source->advances && !collect_has_site(pass->options, source->stage);
  if (is_left || collect_is_done_local(pass, site->name))
    return esp_agree(pass->comm, pass_by_local(pass, source));
  collect_scale scale;
  site_sums sums = {0};
  collect_scale_init(&scale, site->features);
  esp_status status = measure_site(pass, source, site, &scale, &sums);
  if (status == ESP_OK) status = site_sums_reduce(pass->comm, &sums);
  if (status == ESP_OK) status = write_half(pass, &sums, site->name);
  if (status == ESP_OK) {
    site_sums_give_all(&sums, pass, site);
    status = esp_stats_write_site(pass->stats, site);
  }
  if (status == ESP_OK) status = collect_mark_done(pass, site->name);
  site_sums_clear(&sums);
  collect_scale_clear(&scale);
  return status;
}

static esp_status read_stream_local(collect_pass *pass, int stage, int64_t i, int64_t *rows) {
  const int64_t units = pass->model->width.units;
  const esp_step step = esp_stream_step(&pass->stream, stage, i);
  esp_step_read(&step, pass->x);
  *rows = esp_batch_compact(&step.call.batch, units, pass->x);
  return esp_check_finite(ESP_SITE_WIDTH, pass->x, *rows, units);
}

/* The residual stream as a stage, or the head, reads it; its weights are loaded. */
static esp_status collect_stream(collect_pass *pass, int stage) {
  const site_source source = {.give = read_stream_local,
                              .stage = stage,
                              .has_covariance = collect_has_full_streams(pass->options)};
  if (!pass->has_width) return ESP_OK;
  esp_site_stats site;
  const esp_site_name name = esp_stats_name_reader(pass->model, stage);
  esp_site_stats_init(&site, name.text, pass->model->width.units, pass->stats->bins);
  const esp_status status = collect_site(pass, &source, &site);
  esp_site_stats_clear(&site);
  return status;
}

static esp_status collect_stage(collect_pass *pass, int stage) {
  const esp_stage *self = &pass->model->stages[stage];
  const site_source source = {.give = advance_local,
                              .stage = stage,
                              .has_covariance = pass->options->covariance &&
                                                collect_is_full(pass->options, stage),
                              .advances = true};
  esp_site_stats site;
  esp_site_stats_init(&site, self->name, esp_stage_features(self), pass->stats->bins);
  esp_status status = esp_stream_load(pass->comm, &pass->stream, stage);
  if (status == ESP_OK) status = collect_stream(pass, stage);
  if (status == ESP_OK) status = collect_site(pass, &source, &site);
  esp_stream_unload(&pass->stream, stage);
  esp_site_stats_clear(&site);
  return status;
}

static esp_status choose_logits(collect_pass *pass) {
  ESP_TRY(collect_choose_logits(pass));
  const esp_h5_shape shape = {ESP_I64, 1, {pass->n_units}};
  return esp_h5_write_root(pass->stats->file, "/" ESP_SITE_LOGITS "/units", &shape, pass->units);
}

static esp_status collect_logits(collect_pass *pass) {
  const site_source source = {.give = collect_produce_logits_local, .stage = pass->model->n_stages};
  esp_site_stats site;
  esp_site_stats_init(&site, ESP_SITE_LOGITS, pass->n_units, pass->stats->bins);
  const esp_status status = collect_site(pass, &source, &site);
  esp_site_stats_clear(&site);
  return status;
}

static esp_status collect_head(collect_pass *pass) {
  const bool has_logits = collect_has_logits(pass->options);
  const int head = pass->model->n_stages;
  if (pass->last == head) collect_fisher_keep_local(pass, head);
  if (!has_logits && !pass->has_width) return ESP_OK;
  ESP_TRY(esp_stream_load(pass->comm, &pass->stream, head));
  esp_status status = has_logits ? choose_logits(pass) : ESP_OK;
  if (status == ESP_OK) status = collect_stream(pass, head);
  if (status == ESP_OK && has_logits) status = collect_logits(pass);
  esp_stream_unload(&pass->stream, head);
  return status;
}

static esp_status run_stages(collect_pass *pass) {
  const int logits = collect_has_logits(pass->options), n = pass->model->n_stages;
  const int stages = pass->last < n ? pass->last + 1 : n;
  const int64_t sites = (stages + logits) * (pass->has_width ? 2 : 1);
  if (collect_has_sites_local(pass)) return ESP_OK;
  ESP_TRY(esp_agree(pass->comm, esp_stream_embed(&pass->stream)));
  esp_progress_init(&pass->progress, "collect", "micro-batches", sites * pass->shard->count);
  for (int stage = 0; stage < stages; stage++) {
    collect_layer_begin_local(pass, stage);
    collect_fisher_keep_local(pass, stage);
    ESP_TRY(collect_stage(pass, stage));
    collect_layer_end_local(pass, stage);
  }
  ESP_TRY(collect_write_layers(pass));
  ESP_TRY(collect_head(pass));
  esp_progress_clear(&pass->progress);
  return ESP_OK;
}

static json_t *list_sites(const collect_pass *pass,
                          bool (*has)(const esp_collect_options *options, int stage)) {
  json_t *names = json_array();
  for (int s = 0; s < pass->model->n_stages; s++)
    if (has(pass->options, s))
      json_array_append_new(names, json_string(pass->model->stages[s].name));
  return names;
}

/* What was left out, so that nothing takes it for all. */
static void tell_scope(const collect_pass *pass, json_t *meta) {
  const esp_collect_options *options = pass->options;
  if (options->leaves_codes) json_object_set_new(meta, ESP_META_CODES, json_false());
  if (options->only) json_object_set_new(meta, ESP_META_SITES, list_sites(pass, collect_has_site));
  if (options->full)
    json_object_set_new(meta, ESP_META_FULL_SITES, list_sites(pass, collect_is_full));
}

static void init_pass(collect_pass *pass) {
  const esp_model *model = pass->model;
  const int64_t logits = collect_count_logits(model, pass->options);
  int64_t widest = model->max_features > logits ? model->max_features : logits;
  if (widest < model->width.units) widest = model->width.units;
  pass->batch_rows = esp_shard_count_rows(pass->shard);
  pass->last = collect_find_last(model, pass->options);
  esp_stream_init(&pass->stream, &(esp_stream_options){.model = pass->model,
                                                       .shard = pass->shard,
                                                       .first = pass->shard->first,
                                                       .count = pass->shard->count,
                                                       .is_checked = true});
  pass->x = ESP_NEW(float, pass->batch_rows *widest);
  if (collect_has_logits(pass->options) ||
      collect_count_fisher_rows(model, pass->shard, pass->options) > 0)
    pass->logits = ESP_NEW(float, pass->batch_rows * model->n_outputs);
  collect_fisher_begin_local(pass);
}

static void clear_pass(collect_pass *pass) {
  collect_fisher_clear_local(pass);
  esp_stream_clear(&pass->stream);
  esp_free(&pass->x);
  esp_free(&pass->logits);
  esp_free(&pass->units);
  collect_clear_layers_local(pass);
}

esp_status esp_collect(const esp_comm *comm, esp_model *model, esp_shard *shard,
                       const esp_collect_options *options, json_t *meta, const char *path) {
  collect_pass pass = {.comm = comm, .model = model, .shard = shard, .options = options};
  json_object_set_new(meta, "bins", json_integer(options->bins));
  json_object_set_new(meta, ESP_META_COVARIANCE, json_boolean(options->covariance));
  json_object_set_new(meta, ESP_META_HALVES, json_boolean(options->halves));
  tell_scope(&pass, meta);
  pass.has_width = options->width && model->width.units > 0;
  json_object_set_new(meta, ESP_META_WIDTH, json_boolean(pass.has_width));
  json_object_set_new(meta, ESP_META_LOGITS, json_integer(collect_count_logits(model, options)));
  json_object_set_new(meta, ESP_META_FISHER,
                      json_integer(collect_count_fisher_rows(model, shard, options)));
  ESP_TRY(collect_begin(&pass, meta, path));
  if (pass.is_complete) return collect_end(&pass, ESP_OK);
  init_pass(&pass);
  esp_status status = run_stages(&pass);
  if (status == ESP_OK) status = collect_fisher(&pass);
  clear_pass(&pass);
  return collect_end(&pass, status);
}
