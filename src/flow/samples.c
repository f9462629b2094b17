#include "espalier/flow/samples.h"

#include "espalier/flow/text_samples.h"
#include "espalier/model/family.h"
#include "espalier/model/forward.h"

#include <inttypes.h>
#include <string.h>

enum { DEFAULT_MICRO_BATCH = 256, DEFAULT_ROWS = 1024, ENTROPY_LENGTH = 128 };

esp_samples esp_samples_of(const esp_run_options *run, const esp_data_options *data,
                           const char *default_split) {
  return (esp_samples){.data = data->data,
                       .split = data->split ? data->split : default_split,
                       .count = data->samples,
                       .micro_batch = data->micro_batch,
                       .seed = run->seed,
                       .allow_idle = run->allow_idle,
                       .context = data->context,
                       .pad = data->pad};
}

void esp_samples_read_again(esp_samples *self, const char *data, int64_t context, bool pad) {
  if (!self->data) self->data = data;
  if (!data || strcmp(self->data, data) != 0 || self->context > 0 || self->pad) return;
  self->context = context;
  self->pad = pad;
}

int64_t esp_samples_count_entropy_rows(const esp_model *model) {
  if (model->family->input != ESP_DATA_TOKENS) return 1;
  const bool is_short = model->max_length > 0 && model->max_length < ENTROPY_LENGTH;
  return is_short ? model->max_length : ENTROPY_LENGTH;
}

static esp_status make_data(const esp_samples *self, const esp_model *model, esp_dataset **data) {
  if (!model)
    return esp_fail(ESP_USAGE,
                    "--data " ESP_MAXIMUM_ENTROPY " is for collect and prune: there is nothing to "
                    "learn or predict in it; give real data");
  if (self->count == 0)
    return esp_fail(ESP_USAGE, "--data " ESP_MAXIMUM_ENTROPY " has no end; give --samples N");
  const int64_t rows = esp_samples_count_entropy_rows(model);
  const bool is_text = model->family->input == ESP_DATA_TOKENS;
  *data = esp_dataset_new_maximum_entropy(
      &(esp_entropy_input){.kind = model->family->input,
                           .count = (self->count + rows - 1) / rows,
                           .width = is_text ? rows : model->n_inputs,
                           .vocabulary = model->vocabulary,
                           .seed = (uint64_t)self->seed});
  return ESP_OK;
}

/* Only text has rows that can be chosen. */
static esp_status check_rows(const esp_samples *self) {
  if (self->context == 0 && !self->pad) return ESP_OK;
  return esp_fail(ESP_USAGE, "%s is for text, found %s, whose rows are as they are; leave it out",
                  self->context > 0 ? "--context" : "--pad", self->data);
}

esp_status esp_samples_open_data(const esp_comm *comm, const esp_samples *self,
                                 const esp_model *model, esp_dataset **data) {
  if (!self->data) return esp_fail(ESP_USAGE, "expected a data set, found none; give --data PATH");
  const bool is_made = esp_dataset_is_made(self->data);
  if (!is_made && esp_text_is(comm, self->data))
    return esp_samples_open_text(comm, self, model ? model : self->reader, data);
  ESP_TRY(check_rows(self));
  if (is_made) return make_data(self, model, data);
  return esp_dataset_open(comm, self->data, self->split, data);
}

esp_status esp_samples_open_other(const esp_comm *comm, const esp_samples *self, const char *path,
                                  const char *split, esp_dataset **data) {
  esp_samples other = *self;
  other.data = path;
  other.split = split;
  if (!esp_text_is(comm, path)) return esp_dataset_open(comm, path, split, data);
  return esp_samples_open_text(comm, &other, self->reader, data);
}

esp_status esp_samples_check_ranks(int ranks, int64_t micro_batches, bool allow_idle) {
  if (ranks <= micro_batches || allow_idle) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "%d ranks, but only %" PRId64 " micro-batches: %" PRId64
                  " ranks would idle; use at "
                  "most %" PRId64 " ranks, more samples, a smaller --micro-batch, or --allow-idle",
                  ranks, micro_batches, ranks - micro_batches, micro_batches);
}

/* About a thousand rows of tokens. */
static int64_t choose_micro_batch(const esp_samples *self, const esp_dataset *data) {
  if (self->micro_batch > 0) return self->micro_batch;
  if (data->kind != ESP_DATA_TOKENS) return DEFAULT_MICRO_BATCH;
  return data->width < DEFAULT_ROWS ? DEFAULT_ROWS / data->width : 1;
}

esp_status esp_samples_open_shard_local(const esp_comm *comm, const esp_samples *self,
                                        const esp_model *model, const esp_dataset *data,
                                        esp_shard *shard) {
  ESP_TRY(esp_model_check_data(model, data));
  const esp_shard_options options = {.samples = self->count,
                                     .micro_batch = choose_micro_batch(self, data),
                                     .seed = (uint64_t)self->seed};
  esp_shard_init(shard, comm, data, &options);
  const esp_status status = esp_samples_check_ranks(comm->size, shard->n_batches, self->allow_idle);
  if (status != ESP_OK) esp_shard_clear(shard);
  return status;
}
