/* What a reader of the residual stream knows of the hidden dimensions. Its map is the rows that it
 * keeps of all its weights, one below the other; the site above them is its own. */
#include "evidence.h"

#include "espalier/core/memory.h"

#include <math.h>

/* Of a vocabulary the rows whose logits were measured, unless the criterion reads weights alone. */
static bool reads_measured(const esp_prune_request *request, const esp_reader *reader) {
  return reader->stage == request->dense->n_stages && request->dense->task == ESP_TASK_LANGUAGE &&
         reads_calibration(request);
}

/* Rows of a reader's map: those of the units kept, or that were measured. NULL: all. */
static esp_status list_rows(ranker *self, const esp_reader *reader, int64_t **rows, int64_t *n) {
  const esp_model *dense = self->request->dense;
  const esp_linear *linear = &reader->linear;
  if (!reads_measured(self->request, reader)) {
    *rows =
        esp_selection_indices(self->above, dense, linear->weight, linear->input_major ? 1 : 0, n);
    return ESP_OK;
  }
  *n = self->stats->about.logits;
  const esp_h5_shape shape = {ESP_I64, 1, {*n}};
  ESP_TRY(esp_h5_expect_shape(self->stats->file, "/" ESP_SITE_LOGITS "/units", &shape));
  *rows = ESP_NEW(int64_t, *n);
  return esp_h5_read_all(self->stats->file, "/" ESP_SITE_LOGITS "/units", *rows);
}

/* Rows that a file names: no more of them than there are, which is what the map has room for. */
static esp_status check_rows(const esp_linear *linear, const int64_t *rows, int64_t n) {
  if (rows && n > linear->outputs)
    return esp_fail(ESP_FORMAT,
                    "statistics: expected at most the model's %lld logits, found %lld; collect "
                    "again",
                    (long long)linear->outputs, (long long)n);
  for (int64_t i = 0; rows && i < n; i++)
    if (rows[i] < 0 || rows[i] >= linear->outputs)
      return esp_fail(ESP_FORMAT,
                      "statistics: expected logits 0 to %lld, found %lld; collect again",
                      (long long)linear->outputs - 1, (long long)rows[i]);
  return ESP_OK;
}

static void copy_rows(const esp_model *model, const esp_linear *linear, const int64_t *rows,
                      int64_t n, float *to) {
  const float *weights = model->weights[linear->weight].value;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < linear->inputs; j++) {
      const int64_t row = rows ? rows[i] : i;
      to[i * linear->inputs + j] =
          weights[linear->input_major ? j * linear->outputs + row : row * linear->inputs + j];
    }
}

/* Append one weight's rows to the map. Collective. */
static esp_status append_rows(ranker *self, const esp_reader *reader, site_evidence *site,
                              int64_t *outputs) {
  int64_t *rows = NULL, n = 0;
  esp_status status = list_rows(self, reader, &rows, &n);
  if (status == ESP_OK) status = esp_agree(self->comm, check_rows(&reader->linear, rows, n));
  if (status == ESP_OK)
    copy_rows(self->request->dense, &reader->linear, rows, n,
              site->map + *outputs * reader->linear.inputs);
  *outputs += n;
  esp_free(&rows);
  return status;
}

static esp_status gather_map(ranker *self, int stage, site_evidence *site, int64_t *outputs) {
  esp_model *dense = self->request->dense;
  int n;
  const esp_reader *readers = esp_model_get_readers(dense, stage, &n);
  int64_t most = 0;
  for (int i = 0; i < n; i++) most += readers[i].linear.outputs;
  site->map = ESP_NEW(float, most * dense->width.units);
  *outputs = 0;
  esp_status status = esp_agree(self->comm, esp_model_load_local(dense, stage));
  for (int i = 0; i < n && status == ESP_OK; i++)
    status = append_rows(self, &readers[i], site, outputs);
  esp_model_unload(dense, stage);
  return status;
}

static void compute_consumer_norms(site_evidence *site, int64_t outputs, int64_t units) {
  site->consumer_norm = ESP_NEW(double, units);
  for (int64_t i = 0; i < outputs; i++)
    for (int64_t u = 0; u < units; u++)
      site->consumer_norm[u] += (double)site->map[i * units + u] * site->map[i * units + u];
  for (int64_t u = 0; u < units; u++) site->consumer_norm[u] = sqrt(site->consumer_norm[u]);
}

static unsigned choose_loads(const esp_prune_request *request) {
  const unsigned needs = request->criterion->needs;
  const bool from_codes = needs & ESP_NEEDS_COVARIANCE && !reads_activation_covariance(request);
  return from_codes || needs & ESP_NEEDS_INFORMATION ? ESP_LOAD_PLANES : 0;
}

static esp_status gather_from(ranker *self, int stage, int owner, const esp_site_stats *stats,
                              reader_evidence *reader) {
  const unsigned needs = self->request->criterion->needs;
  if (needs & ESP_NEEDS_INFORMATION)
    ESP_TRY(information_gather_reader(self, stage, &stats->planes, &reader->information));
  evidence_copy_moments(stats, &reader->site);
  if (!(needs & ESP_NEEDS_COVARIANCE)) return ESP_OK;
  return evidence_gather_covariance(self, stats, owner, &reader->site);
}

static esp_status gather_measured(ranker *self, int stage, int owner, reader_evidence *reader) {
  const esp_model *dense = self->request->dense;
  const esp_site_name name = esp_stats_name_reader(dense, stage);
  esp_site_stats stats;
  if (!self->stats) return ESP_OK;
  ESP_TRY(esp_stats_load_site(self->stats, name.text, dense->width.units,
                              choose_loads(self->request), &stats));
  const esp_status status = gather_from(self, stage, owner, &stats, reader);
  esp_site_stats_clear(&stats);
  return status;
}

static esp_status gather_weights(ranker *self, int stage, site_evidence *site,
                                 esp_evidence *evidence) {
  const esp_model *dense = self->request->dense;
  const unsigned needs = self->request->criterion->needs;
  evidence->is_fixed =
      stage == dense->n_stages && dense->is_head_tied && dense->task == ESP_TASK_LANGUAGE;
  if (needs & (ESP_NEEDS_MAP | ESP_NEEDS_NORMS))
    ESP_TRY(gather_map(self, stage, site, &evidence->outputs));
  if (needs & ESP_NEEDS_NORMS) compute_consumer_norms(site, evidence->outputs, evidence->units);
  return ESP_OK;
}

esp_status evidence_gather_reader(ranker *self, int stage, int owner, reader_evidence *reader) {
  const esp_model *dense = self->request->dense;
  const int64_t units = dense->width.units;
  *reader = (reader_evidence){.evidence = {.site = ESP_SITE_WIDTH,
                                           .units = units,
                                           .width = 1,
                                           .ridge = self->request->settings->prune.ridge,
                                           .seed = (uint64_t)self->request->settings->run.seed,
                                           .stream = (uint64_t)dense->n_stages}};
  esp_status status = gather_measured(self, stage, owner, reader);
  if (status == ESP_OK) status = gather_weights(self, stage, &reader->site, &reader->evidence);
  evidence_lend(&reader->site, units, &reader->evidence);
  information_lend(&reader->information, &reader->evidence);
  if (status != ESP_OK) evidence_clear_reader(reader);
  return status;
}

void evidence_clear_reader(reader_evidence *reader) {
  evidence_clear(&reader->site);
  information_clear(&reader->information);
}
