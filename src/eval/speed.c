#include "espalier/eval/eval.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/model/family.h"
#include "espalier/model/forward.h"

#include <stdlib.h>

static const double least_timing_s = 0.02; // a timing repeats the pass until it lasts that long

typedef void forward_pass(const esp_model *model, const esp_batch *batch, esp_pass *pass);

typedef struct timing {
  forward_pass *forward;
  const esp_batch *batch;
  int64_t repeats;
} timing;

static double time_passes(const timing *self, const esp_model *model, esp_pass *pass, int64_t n) {
  const double start = esp_now_s();
  for (int64_t i = 0; i < n; i++) self->forward(model, self->batch, pass);
  return esp_now_s() - start;
}

static int64_t choose_passes(const timing *self, const esp_model *model, esp_pass *pass) {
  int64_t n = 1;
  while (time_passes(self, model, pass, n) < least_timing_s) n *= 2;
  return n;
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, int64_t n) {
  qsort(values, (size_t)n, sizeof *values, compare);
  return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

static void time_alternately(const timing *self, esp_model *const *models, int n, double *rates) {
  const int64_t rows = esp_batch_count_rows(self->batch), repeats = self->repeats;
  esp_pass *passes = ESP_NEW(esp_pass, n);
  int64_t *counts = ESP_NEW(int64_t, n);
  double *seconds = ESP_NEW(double, n *repeats); // (n, repeats), a pass
  for (int i = 0; i < n; i++) {
    esp_pass_init(&passes[i], models[i], rows);
    counts[i] = choose_passes(self, models[i], &passes[i]);
  }
  for (int64_t r = 0; r < repeats; r++)
    for (int i = 0; i < n; i++)
      seconds[i * repeats + r] =
          time_passes(self, models[i], &passes[i], counts[i]) / (double)counts[i];
  for (int i = 0; i < n; i++) {
    rates[i] = (double)rows / median(seconds + i * repeats, repeats);
    esp_pass_clear(&passes[i]);
  }
  esp_free(&seconds);
  esp_free(&counts);
  esp_free(&passes);
}

esp_status esp_eval_check_speed(const esp_model *model, const esp_speed_options *options) {
  if (!options->prefill || model->task == ESP_TASK_LANGUAGE) return ESP_OK;
  return esp_fail(
      ESP_MISMATCH,
      "%s: --prefill: expected a model that predicts the next token, found another task "
      "of %s; leave it out",
      model->path, model->family->name);
}

void esp_eval_speed(const esp_comm *comm, esp_model *const *models, int n, const esp_dataset *data,
                    const esp_speed_options *options, double *rates) {
  if (comm->rank == 0) {
    esp_batch_buffer buffer = {0};
    esp_batch batch;
    const int64_t rows = data->kind == ESP_DATA_TOKENS ? data->width : 1; // a sample
    const int64_t asked = options->batch > rows ? options->batch / rows : 1;
    const int64_t count = asked < data->count ? asked : data->count;
    esp_dataset_read(data, NULL, 0, count, &buffer, &batch);
    const timing passes = {options->prefill ? esp_forward_prefill : esp_forward, &batch,
                           options->repeats};
    time_alternately(&passes, models, n, rates);
    esp_batch_buffer_clear(&buffer);
  }
  esp_bcast(comm, rates, n * (int64_t)sizeof *rates, 0);
}
