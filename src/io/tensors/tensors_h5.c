#include "h5_internal.h"
#include "tensors_format.h"

#include "espalier/core/memory.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Espalier's own file: /meta, /config, /report (optional) and one dataset for each tensor in
 * /model. */

static bool probe(const char *path) {
  unsigned char head[4] = {0};
  const int fd = open(path, O_RDONLY | O_NONBLOCK);
  const bool read_head = fd >= 0 && read(fd, head, sizeof head) == sizeof head;
  if (fd >= 0) close(fd);
  return read_head && memcmp(head, "\x89HDF", sizeof head) == 0;
}

static esp_status read_tensor_local(const esp_h5 *file, const char *name, esp_tensor *tensor) {
  esp_h5_shape shape;
  char *path = esp_format("/model/%s", name);
  esp_status status = esp_h5_get_shape_local(file, path, &shape);
  if (status == ESP_OK) status = esp_h5_get_offset_local(file, path, &tensor->offset);
  esp_free(&path);
  if (status != ESP_OK) return status;
  tensor->name = esp_strdup(name);
  tensor->type = shape.type;
  tensor->rank = shape.rank;
  memcpy(tensor->shape, shape.dims, sizeof tensor->shape);
  return ESP_OK;
}

static esp_status read_tensors_local(const esp_h5 *file, esp_tensor_set *set) {
  esp_h5_names names;
  ESP_TRY(esp_h5_list_local(file, "/model", &names));
  set->tensors = ESP_NEW(esp_tensor, names.count);
  set->n_tensors = names.count;
  esp_status status = ESP_OK;
  for (int i = 0; i < names.count && status == ESP_OK; i++)
    status = read_tensor_local(file, names.name[i], &set->tensors[i]);
  esp_h5_names_clear(&names);
  return status;
}

static esp_status read_file(esp_h5 *file, esp_tensor_set *set) {
  char *meta;
  ESP_TRY(esp_meta_read(file, ESP_MODEL_KIND, &meta));
  esp_free(&meta);
  ESP_TRY(esp_h5_read_text(file, "/config", &set->config));
  if (esp_h5_has(file, "/report")) ESP_TRY(esp_h5_read_text(file, "/report", &set->details));
  return read_tensors_local(file, set);
}

/* Opened on a communicator of its own, so that the collective functions serve rank 0 alone. */
static esp_status open_set(const char *path, esp_tensor_set *set) {
  esp_comm self;
  esp_h5 *file;
  esp_comm_init_local(&self);
  esp_status status = esp_h5_open(&self, path, &file);
  if (status == ESP_OK) {
    status = read_file(file, set);
    esp_h5_close(&file);
  }
  esp_comm_clear(&self);
  set->files = ESP_NEW(char *, 1);
  set->files[0] = esp_strdup(path);
  set->n_files = 1;
  return status;
}

const esp_tensor_format esp_tensor_format_h5 = {"Espalier HDF5", probe, open_set};
