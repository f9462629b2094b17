#include "espalier/eval/eval.h"

#include "espalier/core/memory.h"
#include "espalier/io/h5.h"
#include "espalier/model/forward.h"

#include <string.h>

/* Outputs of samples [begin, begin + count) into out. Local. */
static void run(const esp_model *model, const esp_dataset *data, int64_t begin, int64_t count,
                float *out) {
  const int64_t size = esp_eval_batch(data);
  esp_batch_buffer buffer = {0};
  esp_pass pass;
  esp_pass_init(&pass, model, size * (data->kind == ESP_DATA_TOKENS ? data->width : 1));
  for (int64_t done = 0; done < count; done += size) {
    const int64_t left = count - done;
    esp_batch batch;
    esp_dataset_read(data, NULL, begin + done, left < size ? left : size, &buffer, &batch);
    esp_forward(model, &batch, &pass);
    const int64_t n = esp_batch_count_outputs(model, &batch) * model->n_outputs;
    memcpy(out, pass.logits, (size_t)n * sizeof *out);
    out += n;
  }
  esp_pass_clear(&pass);
  esp_batch_buffer_clear(&buffer);
}

static esp_h5_shape choose_shape(const esp_model *model, const esp_dataset *data, int64_t n) {
  if (model->task == ESP_TASK_CLASSIFY) return (esp_h5_shape){ESP_F32, 2, {n, model->n_outputs}};
  return (esp_h5_shape){ESP_F32, 3, {n, data->width, model->n_outputs}};
}

esp_status esp_eval_write_logits(const esp_comm *comm, const esp_model *model,
                                 const esp_dataset *data, int64_t n, const char *path) {
  ESP_TRY(esp_agree(comm, esp_model_check_data(model, data)));
  n = n > 0 && n < data->count ? n : data->count;
  const esp_h5_shape shape = choose_shape(model, data, n);
  const int64_t begin = esp_block_begin(n, comm->size, comm->rank);
  const int64_t count = esp_block_begin(n, comm->size, comm->rank + 1) - begin;
  const int64_t a_sample = shape.rank == 2 ? shape.dims[1] : shape.dims[1] * shape.dims[2];
  const esp_h5_slab slab = {0, begin, count};
  const char *name = model->task == ESP_TASK_EMBED ? "/embeddings" : "/logits";
  float *out = ESP_NEW(float, count *a_sample);
  esp_h5 *file = NULL;
  run(model, data, begin, count, out);
  esp_status status = esp_h5_create(comm, path, &file);
  if (status == ESP_OK) status = esp_h5_write(file, name, &shape, &slab, out);
  if (status == ESP_OK) status = esp_h5_commit(&file);
  esp_h5_close(&file);
  esp_free(&out);
  return status;
}
