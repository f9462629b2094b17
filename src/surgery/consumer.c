#include "surgery_internal.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <string.h>

const int64_t *consumer_kept_outputs_local(const esp_repair_job *job, int stage) {
  const esp_linear *linear = &job->pruned->stages[stage].consumer;
  return job->pruned->weights[linear->weight].keep[linear->input_major ? 1 : 0];
}

static void list_outputs(const esp_repair_job *job, int stage, int64_t n_out, int64_t *rows) {
  const int64_t *keep = consumer_kept_outputs_local(job, stage);
  for (int64_t i = 0; i < n_out; i++) rows[i] = keep ? keep[i] : i;
}

static void read_weights(consumer *self, const esp_repair_job *job, const int64_t *rows) {
  const esp_linear *dense = &self->dense_stage->consumer, *pruned = &self->pruned_stage->consumer;
  const float *w = job->dense->weights[dense->weight].value;
  const float *v = job->pruned->weights[pruned->weight].value;
  for (int64_t i = 0; i < self->n_out; i++) {
    for (int64_t j = 0; j < self->n_all; j++)
      self->dense[i * self->n_all + j] = w[linear_at(dense, rows[i], j)];
    for (int64_t j = 0; j < self->n_kept; j++)
      self->fitted[i * self->n_kept + j] = v[linear_at(pruned, i, j)];
  }
  if (pruned->bias >= 0)
    memcpy(self->bias, job->pruned->weights[pruned->bias].value,
           (size_t)self->n_out * sizeof(float));
}

void consumer_init(consumer *self, const esp_repair_job *job, int stage) {
  const esp_stage *dense = &job->dense->stages[stage], *pruned = &job->pruned->stages[stage];
  *self = (consumer){.dense_stage = dense,
                     .pruned_stage = pruned,
                     .n_out = pruned->consumer.outputs,
                     .n_all = dense->consumer.inputs,
                     .features = ESP_NEW(int64_t, dense->consumer.inputs)};
  self->n_kept = esp_selection_features(job->selection, dense, stage, self->features);
  ESP_ASSERT(self->n_kept == pruned->consumer.inputs);
  self->dense = ESP_NEW(float, self->n_out * self->n_all);
  self->fitted = ESP_NEW(float, self->n_out * self->n_kept);
  self->bias = pruned->consumer.bias >= 0 ? ESP_NEW(float, self->n_out) : NULL;
  int64_t *rows = ESP_NEW(int64_t, self->n_out);
  list_outputs(job, stage, self->n_out, rows);
  read_weights(self, job, rows);
  esp_free(&rows);
}

void consumer_store(const consumer *self, const esp_repair_job *job, int stage) {
  const esp_linear *linear = &job->pruned->stages[stage].consumer;
  float *values = esp_weight_own(&job->pruned->weights[linear->weight]);
  for (int64_t i = 0; i < self->n_out; i++)
    for (int64_t j = 0; j < self->n_kept; j++)
      values[linear_at(linear, i, j)] = self->fitted[i * self->n_kept + j];
  if (self->bias)
    memcpy(esp_weight_own(&job->pruned->weights[linear->bias]), self->bias,
           (size_t)self->n_out * sizeof(float));
}

void consumer_clear(consumer *self) {
  esp_free(&self->features);
  esp_free(&self->dense);
  esp_free(&self->fitted);
  esp_free(&self->bias);
}

int64_t consumer_count_inputs_local(const esp_repair_job *job, int stage) {
  return job->pruned->stages[stage].consumer.inputs;
}

int64_t consumer_count_unknowns_local(const esp_repair_job *job, int stage) {
  int64_t most = selection_cuts_width(job->selection) ? job->pruned->width.units : 0;
  for (int s = 0; s <= stage && s < job->pruned->n_stages; s++) {
    const int64_t inputs = consumer_count_inputs_local(job, s);
    most = inputs > most ? inputs : most;
  }
  return most;
}

static esp_status load_local(esp_repair_job *job, int stage) {
  ESP_TRY(esp_model_load_local(job->dense, stage));
  return esp_model_load_local(job->pruned, stage);
}

esp_status repair_load(esp_repair_job *job, int stage) {
  return esp_agree(job->comm, load_local(job, stage));
}

/* A consumer that reads all it read is right as it is. */
static bool is_whole(const esp_repair_job *job, int stage) {
  return job->pruned->stages[stage].consumer.inputs == job->dense->stages[stage].consumer.inputs;
}

static esp_status fit_one(esp_repair_job *job, const repair_pass *pass, int stage,
                          consumer_fit fit) {
  esp_repair_report_set(job->report, job->dense->stages[stage].name, NULL);
  if (is_whole(job, stage)) return ESP_OK;
  if (repair_is_done_local(job, pass, stage)) return repair_restore(job, pass, stage);
  ESP_TRY(repair_load(job, stage));
  consumer self;
  consumer_init(&self, job, stage);
  const esp_status status = fit(job, stage, &self);
  if (status == ESP_OK) consumer_store(&self, job, stage);
  consumer_clear(&self);
  esp_model_unload(job->pruned, stage);
  esp_model_unload(job->dense, stage);
  return status == ESP_OK ? repair_save(job, pass, stage) : status;
}

esp_status repair_each(esp_repair_job *job, const repair_pass *pass, consumer_fit fit) {
  esp_progress progress;
  esp_progress_init(&progress, "refit", "sites", job->dense->n_stages);
  for (int stage = 0; stage < job->dense->n_stages; stage++) {
    ESP_TRY(fit_one(job, pass, stage, fit));
    esp_progress_update(&progress, stage + 1, job->dense->stages[stage].name);
  }
  esp_progress_clear(&progress);
  return ESP_OK;
}
