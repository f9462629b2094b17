#include "h5_internal.h"

#include "espalier/core/memory.h"

static int64_t count_bytes(const esp_h5_shape *shape) {
  int64_t bytes = (int64_t)esp_dtype_bytes(shape->type);
  for (int d = 0; d < shape->rank; d++) bytes *= shape->dims[d];
  return bytes;
}

static esp_status copy_dataset(esp_h5 *from, esp_h5 *to, const char *name) {
  esp_h5_shape shape;
  ESP_TRY(esp_h5_get_shape(from, name, &shape));
  char *data = ESP_NEW(char, count_bytes(&shape));
  esp_status status = esp_h5_read_all(from, name, data);
  if (status == ESP_OK) status = esp_h5_write_root(to, name, &shape, data);
  esp_free(&data);
  return status;
}

esp_status esp_h5_copy_group(esp_h5 *from, esp_h5 *to, const char *group) {
  esp_h5_names names = {0};
  if (!esp_h5_has(from, group)) return ESP_OK;
  esp_status status = esp_agree(from->comm, esp_h5_list_local(from, group, &names));
  for (int i = 0; i < names.count && status == ESP_OK; i++) {
    char *name = esp_format("%s/%s", group, names.name[i]);
    status = copy_dataset(from, to, name);
    esp_free(&name);
  }
  esp_h5_names_clear(&names);
  return status;
}
