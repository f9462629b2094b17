#include "espalier/stats/stats.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char format_name[] = "espalier-statistics";

static esp_stats *new_stats_local(const esp_comm *comm, const char *path, json_t *meta) {
  esp_stats *stats = ESP_NEW(esp_stats, 1);
  stats->comm = comm;
  stats->path = esp_strdup(path);
  stats->meta = meta;
  return stats;
}

static int64_t get_int(const json_t *meta, const char *key) {
  return json_integer_value(json_object_get(meta, key));
}

static bool is_set(const json_t *meta, const char *key) {
  return json_is_true(json_object_get(meta, key));
}

/* Options of the collection that say how text was read. */
static void read_rows(esp_stats *stats) {
  const json_t *data = json_object_get(json_object_get(stats->meta, "options"), "data");
  stats->about.context = get_int(data, "context");
  stats->about.pad = is_set(data, "pad");
}

static void read_about(esp_stats *stats) {
  const json_t *meta = stats->meta;
  stats->data_path = esp_json_bytes(json_object_get(meta, "data"));
  stats->about =
      (esp_stats_about){.samples = get_int(meta, "samples"),
                        .micro_batch = get_int(meta, "micro_batch"),
                        .seed = get_int(meta, "seed"),
                        .data = stats->data_path,
                        .split = json_string_value(json_object_get(meta, "split")),
                        .logits = get_int(meta, ESP_META_LOGITS),
                        .fisher_rows = get_int(meta, ESP_META_FISHER),
                        .has_codes = !json_is_false(json_object_get(meta, ESP_META_CODES)),
                        .has_covariance = is_set(meta, ESP_META_COVARIANCE),
                        .has_width = is_set(meta, ESP_META_WIDTH),
                        .has_halves = is_set(meta, ESP_META_HALVES)};
  read_rows(stats);
}

static void deal_batches_local(esp_stats *stats, int64_t n_batches) {
  stats->n_batches = n_batches;
  stats->first = esp_block_begin(n_batches, stats->comm->size, stats->comm->rank);
  stats->count =
      esp_block_begin(n_batches, stats->comm->size, stats->comm->rank + 1) - stats->first;
}

/* Joint counts are int32, so there can't be more rows than that in all. */
static esp_status count_rows_local(esp_stats *stats) {
  stats->rows = 0;
  for (int64_t i = 0; i < stats->n_batches && stats->rows <= INT32_MAX; i++)
    stats->rows += stats->valid[i];
  if (stats->rows <= INT32_MAX) return ESP_OK;
  return esp_fail(ESP_FORMAT, "%s: expected fewer than 2^31 rows, found more; use fewer samples",
                  stats->path);
}

static esp_status read_layout_local(esp_stats *stats, int64_t *batch_rows) {
  int64_t bins;
  ESP_TRY(esp_config_get_int(stats->meta, "bins", 2, &bins));
  ESP_TRY(esp_config_get_int(stats->meta, "batch_rows", 1, batch_rows));
  if (bins > ESP_MAX_BINS)
    return esp_fail(ESP_FORMAT, "%s: expected at most %d bins, found %" PRId64, stats->path,
                    ESP_MAX_BINS, bins);
  if (*batch_rows > INT32_MAX)
    return esp_fail(ESP_FORMAT, "%s: expected batch_rows below 2^31, found %" PRId64, stats->path,
                    *batch_rows);
  stats->bins = (int)bins;
  stats->words = (*batch_rows + ESP_WORD_BITS - 1) / ESP_WORD_BITS;
  return ESP_OK;
}

static esp_status write_valid(esp_stats *stats) {
  const esp_h5_shape shape = {ESP_I64, 1, {stats->n_batches}};
  return esp_h5_write_root(stats->file, "/valid", &shape, stats->valid);
}

static esp_status write_head(esp_stats *stats) {
  char *text = esp_json_dump(stats->meta, JSON_COMPACT | JSON_SORT_KEYS);
  const esp_status status = esp_meta_write(stats->file, format_name, text);
  esp_free(&text);
  return status == ESP_OK ? write_valid(stats) : status;
}

typedef esp_status (*open_function)(const esp_comm *comm, const char *path, esp_h5 **file);

static esp_status make(const esp_comm *comm, const char *path, json_t *meta,
                       const esp_stats_rows *rows, open_function open_file, esp_stats **stats) {
  esp_stats *self = new_stats_local(comm, path, meta);
  json_object_set_new(meta, "batch_rows", json_integer(rows->batch_rows));
  deal_batches_local(self, rows->n_batches);
  self->valid = ESP_NEW(int64_t, self->n_batches);
  for (int64_t i = 0; i < self->n_batches; i++) self->valid[i] = rows->valid[i];
  read_about(self);
  int64_t batch_rows;
  esp_status status = read_layout_local(self, &batch_rows);
  if (status == ESP_OK) status = count_rows_local(self);
  if (status == ESP_OK) status = open_file(comm, path, &self->file);
  if (status == ESP_OK && open_file != esp_h5_open_partial) status = write_head(self);
  *stats = self;
  if (status != ESP_OK) esp_stats_close(stats);
  return status;
}

esp_status esp_stats_lay_out(const esp_comm *comm, const char *path, json_t *meta,
                             const esp_stats_rows *rows, esp_stats **stats) {
  return make(comm, path, meta, rows, esp_h5_lay_out, stats);
}

esp_status esp_stats_resume(const esp_comm *comm, const char *path, json_t *meta,
                            const esp_stats_rows *rows, esp_stats **stats) {
  return make(comm, path, meta, rows, esp_h5_open_partial, stats);
}

esp_status esp_stats_fill(esp_stats *stats) {
  ESP_TRY(esp_h5_fill(stats->file));
  ESP_TRY(write_valid(stats));
  return esp_h5_flush(stats->file);
}

void esp_stats_keep(esp_stats **stats) {
  if (*stats) esp_h5_keep(&(*stats)->file);
  esp_stats_close(stats);
}

esp_status esp_stats_commit(esp_stats **stats) {
  const esp_status status = esp_h5_commit(&(*stats)->file);
  esp_stats_close(stats);
  return status;
}

bool esp_stats_is_of_local(const esp_stats *stats, const json_t *collection) {
  const char *key;
  json_t *value;
  bool same = true;
  json_object_foreach((json_t *)(uintptr_t)collection, key, value) same =
      same && json_equal(value, json_object_get(stats->meta, key));
  return same;
}

void esp_stats_close(esp_stats **stats) {
  esp_stats *self = *stats;
  if (!self) return;
  if (!self->whole) {
    esp_h5_close(&self->file);
    json_decref(self->meta);
    esp_free(&self->path);
    esp_free(&self->data_path);
  }
  esp_free(&self->valid);
  esp_free(stats);
}

static esp_status read_valid(esp_stats *stats, int64_t batch_rows) {
  esp_h5_shape shape;
  ESP_TRY(esp_h5_get_shape(stats->file, "/valid", &shape));
  if (shape.type != ESP_I64 || shape.rank != 1 || shape.dims[0] < 1)
    return esp_fail(ESP_FORMAT, "%s: expected /valid as (M) int64; collect the statistics again",
                    stats->path);
  deal_batches_local(stats, shape.dims[0]);
  stats->valid = ESP_NEW(int64_t, stats->n_batches);
  ESP_TRY(esp_h5_read_all(stats->file, "/valid", stats->valid));
  for (int64_t i = 0; i < stats->n_batches; i++)
    if (stats->valid[i] < 0 || stats->valid[i] > batch_rows)
      return esp_fail(ESP_FORMAT,
                      "%s: expected 0 to %" PRId64 " rows in micro-batch %" PRId64
                      ", found %" PRId64,
                      stats->path, batch_rows, i, stats->valid[i]);
  return count_rows_local(stats);
}

static esp_status read_head(esp_stats *stats) {
  char *text = NULL;
  ESP_TRY(esp_meta_read(stats->file, format_name, &text));
  stats->meta = json_loads(text, 0, NULL);
  esp_free(&text);
  if (!stats->meta)
    return esp_fail(ESP_FORMAT, "%s: expected JSON in /meta; collect again", stats->path);
  read_about(stats);
  int64_t batch_rows;
  ESP_TRY(read_layout_local(stats, &batch_rows));
  return read_valid(stats, batch_rows);
}

esp_status esp_stats_open(const esp_comm *comm, const char *path, esp_stats **stats) {
  esp_stats *self = new_stats_local(comm, path, NULL);
  esp_status status = esp_h5_open(comm, path, &self->file);
  if (status == ESP_OK) status = esp_agree(comm, read_head(self)); // equal on all ranks anyway
  *stats = self;
  if (status != ESP_OK) esp_stats_close(stats);
  return status;
}

static esp_status check_fingerprint_local(const esp_stats *stats, const char *key, uint64_t found) {
  char text[24];
  snprintf(text, sizeof text, "%016" PRIx64, found);
  const char *expected = json_string_value(json_object_get(stats->meta, key));
  if (expected && strcmp(expected, text) == 0) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: statistics of another %s: expected %s %s, found %s; collect again or "
                  "give the one they were made with",
                  stats->path, key, key, expected ? expected : "none", text);
}

esp_status esp_stats_check(const esp_stats *stats, const esp_model *model,
                           const esp_dataset *data) {
  ESP_TRY(check_fingerprint_local(stats, "model_fingerprint",
                                  esp_model_fingerprint(stats->comm, model)));
  return data ? check_fingerprint_local(stats, "data_fingerprint", data->fingerprint) : ESP_OK;
}

static int clamp_valid(int64_t rows) {
  return rows < 0 ? 0 : rows > ESP_WORD_BITS ? ESP_WORD_BITS : (int)rows;
}

uint8_t *esp_stats_count_valid_local(const esp_stats *stats) {
  uint8_t *valid = ESP_NEW(uint8_t, stats->count * stats->words);
  for (int64_t i = 0; i < stats->count; i++)
    for (int64_t w = 0; w < stats->words; w++)
      valid[i * stats->words + w] =
          (uint8_t)clamp_valid(stats->valid[stats->first + i] - w * ESP_WORD_BITS);
  return valid;
}
