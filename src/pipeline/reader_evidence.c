/* What a reader of the residual stream knows of the hidden dimensions. Its map is the rows that it
 * keeps of all its weights, one below the other; the site above them is its own. */
#include "pipeline.h"

#include "espalier/core/memory.h"

#include <math.h>

/* Rows of a reader's map: those of the units kept, of a vocabulary those that were measured. NULL:
 * all. */
static esp_status list_rows(prune_job *job, const esp_reader *reader, int64_t **rows, int64_t *n) {
  const esp_linear *linear = &reader->linear;
  if (reader->stage < job->dense->n_stages || job->dense->task != ESP_TASK_LANGUAGE) {
    *rows = esp_selection_indices(&job->selection, job->dense, linear->weight,
                                  linear->input_major ? 1 : 0, n);
    return ESP_OK;
  }
  *n = json_integer_value(json_object_get(job->stats->meta, ESP_META_LOGITS));
  const esp_h5_shape shape = {ESP_I64, 1, {*n}};
  ESP_TRY(esp_h5_expect_shape(job->stats->file, "/" ESP_SITE_LOGITS "/units", &shape));
  *rows = ESP_NEW(int64_t, *n);
  return esp_h5_read_all(job->stats->file, "/" ESP_SITE_LOGITS "/units", *rows);
}

static esp_status check_rows(const esp_linear *linear, const int64_t *rows, int64_t n) {
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
static esp_status append_rows(prune_job *job, const esp_reader *reader, site_evidence *self,
                              int64_t *outputs) {
  int64_t *rows = NULL, n = 0;
  esp_status status = list_rows(job, reader, &rows, &n);
  if (status == ESP_OK) status = esp_agree(job->comm, check_rows(&reader->linear, rows, n));
  if (status == ESP_OK)
    copy_rows(job->dense, &reader->linear, rows, n, self->map + *outputs * reader->linear.inputs);
  *outputs += n;
  esp_free(&rows);
  return status;
}

static esp_status gather_map(prune_job *job, int stage, site_evidence *self, int64_t *outputs) {
  int n;
  const esp_reader *readers = esp_model_get_readers(job->dense, stage, &n);
  int64_t most = 0;
  for (int i = 0; i < n; i++) most += readers[i].linear.outputs;
  self->map = ESP_NEW(float, most * job->dense->width.units);
  *outputs = 0;
  esp_status status = esp_agree(job->comm, esp_model_load_local(job->dense, stage));
  for (int i = 0; i < n && status == ESP_OK; i++)
    status = append_rows(job, &readers[i], self, outputs);
  esp_model_unload(job->dense, stage);
  return status;
}

static void compute_consumer_norms(site_evidence *self, int64_t outputs, int64_t units) {
  self->consumer_norm = ESP_NEW(double, units);
  for (int64_t i = 0; i < outputs; i++)
    for (int64_t u = 0; u < units; u++)
      self->consumer_norm[u] += (double)self->map[i * units + u] * self->map[i * units + u];
  for (int64_t u = 0; u < units; u++) self->consumer_norm[u] = sqrt(self->consumer_norm[u]);
}

static esp_status gather_all(prune_job *job, int stage, const esp_site_stats *site,
                             site_evidence *self, site_information *information,
                             esp_evidence *evidence) {
  const unsigned needs = job->criterion->needs;
  if (needs & ESP_NEEDS_INFORMATION)
    ESP_TRY(information_gather_reader(job, stage, &site->planes, information));
  evidence_copy_moments(site, self);
  if (needs & ESP_NEEDS_COVARIANCE) ESP_TRY(evidence_gather_covariance(job, site, 0, self));
  evidence->is_fixed = stage == job->dense->n_stages && job->dense->is_head_tied &&
                       job->dense->task == ESP_TASK_LANGUAGE;
  ESP_TRY(gather_map(job, stage, self, &evidence->outputs));
  compute_consumer_norms(self, evidence->outputs, evidence->units);
  return ESP_OK;
}

static unsigned choose_loads(const prune_job *job) {
  if (job->criterion->needs & ESP_NEEDS_INFORMATION) return ESP_LOAD_PLANES;
  const bool from_codes =
      job->criterion->needs & ESP_NEEDS_COVARIANCE && !needs_activation_covariance(job);
  return from_codes ? ESP_LOAD_PLANES : 0;
}

esp_status evidence_gather_reader(prune_job *job, int stage, site_evidence *self,
                                  site_information *information, esp_evidence *evidence) {
  const int64_t units = job->dense->width.units;
  esp_site_stats site;
  *self = (site_evidence){0};
  *information = (site_information){0};
  *evidence = (esp_evidence){.site = ESP_SITE_WIDTH,
                             .units = units,
                             .width = 1,
                             .ridge = job->settings->prune.ridge,
                             .seed = (uint64_t)job->settings->run.seed,
                             .stream = (uint64_t)job->dense->n_stages};
  const esp_site_name name = esp_stats_name_reader(job->dense, stage);
  ESP_TRY(esp_stats_load_site(job->stats, name.text, units, choose_loads(job), &site));
  const esp_status status = gather_all(job, stage, &site, self, information, evidence);
  evidence_lend(self, units, evidence);
  information_lend(information, evidence);
  esp_site_stats_clear(&site);
  if (status != ESP_OK) {
    evidence_clear(self);
    information_clear(information);
  }
  return status;
}
