#include "h5_internal.h"

#include "espalier/core/memory.h"

#include <string.h>

static hid_t new_text_type(size_t bytes) {
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, bytes);
  H5Tset_cset(type, H5T_CSET_UTF8);
  H5Tset_strpad(type, H5T_STR_NULLTERM);
  return type;
}

/* A scalar of one element as wide as the text; rank 0 has it, the others have nothing to write. */
static esp_status write_scalar(esp_h5 *file, const char *name, const char *text, int64_t bytes) {
  const hid_t type = new_text_type((size_t)bytes);
  const esp_box scalar = {.rank = 0}, none = {.rank = 1};
  esp_h5_move move = {.type = type,
                      .element_bytes = bytes,
                      .box = file->comm->rank == 0 ? scalar : none,
                      .writing = true,
                      .from = text};
  esp_status status = esp_h5_create_dataset(file, name, type, &scalar, &move.dataset);
  if (status == ESP_OK) {
    status = esp_h5_move_box(file, name, &move);
    H5Dclose(move.dataset);
  }
  H5Tclose(type);
  return status;
}

esp_status esp_h5_write_text(esp_h5 *file, const char *name, const char *text) {
  ESP_ASSERT(file->created);
  int64_t bytes = file->comm->rank == 0 ? (int64_t)strlen(text) + 1 : 0;
  esp_bcast(file->comm, &bytes, sizeof bytes, 0);
  ESP_TRY(esp_h5_reserve(file, bytes));
  return write_scalar(file, name, text, bytes);
}

static esp_status check_text(const esp_h5 *file, const char *name, hid_t type, hid_t space) {
  if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) > 0 ||
      H5Sget_simple_extent_npoints(space) != 1)
    return esp_fail(ESP_FORMAT, "%s: %s is not one text of fixed length", file->path, name);
  const int64_t bytes = (int64_t)H5Tget_size(type);
  if (esp_h5_can_hold_local(file, bytes)) return ESP_OK;
  return esp_fail(
      ESP_FORMAT,
      "%s: %s claims to be a text of %lld bytes, more than %lld bytes of file can hold; "
      "write or copy it again",
      file->path, name, (long long)bytes, (long long)file->bytes);
}

static esp_status read_dataset_local(const esp_h5 *file, const char *name, hid_t dataset,
                                     char **text) {
  const hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
  esp_status status = check_text(file, name, type, space);
  if (status == ESP_OK) {
    *text = esp_alloc((int64_t)H5Tget_size(type) + 1, 1);
    if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *text) < 0)
      status = esp_fail(ESP_IO, "%s: cannot read %s: %s", file->path, name, esp_h5_reason());
  }
  H5Sclose(space);
  H5Tclose(type);
  return status;
}

static esp_status read_text_local(const esp_h5 *file, const char *name, char **text) {
  if (!esp_h5_has_local(file, name))
    return esp_fail(ESP_FORMAT, "%s has no text %s", file->path, name);
  const hid_t dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
  if (dataset < 0)
    return esp_fail(ESP_FORMAT, "%s: %s is not a text: %s", file->path, name, esp_h5_reason());
  const esp_status status = read_dataset_local(file, name, dataset, text);
  H5Dclose(dataset);
  return status;
}

esp_status esp_h5_read_text(esp_h5 *file, const char *name, char **text) {
  *text = NULL;
  esp_status status = file->comm->rank == 0 ? read_text_local(file, name, text) : ESP_OK;
  status = esp_agree(file->comm, status);
  if (status == ESP_OK) esp_bcast_text(file->comm, text, 0);
  if (status != ESP_OK) esp_free(text);
  return status;
}
