#include "h5_internal.h"

#include "espalier/core/hash.h"

#include <string.h>

static esp_status check_name_local(const esp_h5 *file, const char *name) {
  const size_t length = strlen(name);
  if (length > 0 && name[length - 1] != '/' && !strstr(name, "//")) return ESP_OK;
  return esp_fail(ESP_MISMATCH, "%s: '%s' cannot name a dataset", file->path, name);
}

static esp_status check_shape_local(const esp_h5 *file, const char *name,
                                    const esp_h5_shape *shape) {
  int64_t bytes = shape->rank < 0 || shape->rank > ESP_MAX_RANK ? -1 : 1;
  for (int d = 0; d < shape->rank && bytes >= 0; d++)
    if (shape->dims[d] < 0 || __builtin_mul_overflow(bytes, shape->dims[d], &bytes)) bytes = -1;
  if (bytes < 0 || __builtin_mul_overflow(bytes, (int64_t)esp_dtype_bytes(shape->type), &bytes))
    return esp_fail(ESP_MISMATCH, "%s: the shape asked for dataset %s cannot be stored", file->path,
                    name);
  return ESP_OK;
}

static esp_status check_slab_local(const esp_h5 *file, const char *name, const esp_h5_shape *shape,
                                   const esp_h5_slab *slab) {
  if (slab->axis < 0 || slab->axis >= shape->rank)
    return esp_fail(ESP_MISMATCH, "%s: dataset %s has %d axes, but rank %d takes a slab of axis %d",
                    file->path, name, shape->rank, file->comm->rank, slab->axis);
  const int64_t size = shape->dims[slab->axis];
  if (slab->count == 0) return ESP_OK;
  if (slab->begin >= 0 && slab->count > 0 && slab->count <= size &&
      slab->begin <= size - slab->count)
    return ESP_OK;
  return esp_fail(
      ESP_MISMATCH,
      "%s: the slab of rank %d, %lld from %lld, lies outside dataset %s with %lld along axis %d",
      file->path, file->comm->rank, (long long)slab->count, (long long)slab->begin, name,
      (long long)size, slab->axis);
}

static esp_box slab_box(const esp_h5_shape *shape, const esp_h5_slab *slab) {
  esp_box box = esp_box_whole(shape);
  box.begin[slab->axis] = slab->count > 0 ? slab->begin : 0;
  box.count[slab->axis] = slab->count;
  return box;
}

static esp_box nothing(void) {
  return (esp_box){.rank = 1};
}

static uint64_t hash_request(const char *name, const esp_h5_shape *shape, int axis) {
  const int64_t fixed[3] = {(int64_t)shape->type, shape->rank, axis};
  const uint64_t chain = esp_hash(esp_hash_text(0, name), fixed, sizeof fixed);
  return esp_hash(chain, shape->dims, (size_t)shape->rank * sizeof *shape->dims);
}

/* Ranks that ask for different things would wait for each other in the library. */
static esp_status check_same(const esp_h5 *file, const char *name, uint64_t mine) {
  uint64_t first = mine;
  esp_bcast(file->comm, &first, sizeof first, 0);
  if (mine == first) return ESP_OK;
  return esp_fail(ESP_MISMATCH, "%s: rank %d writes another dataset or shape (%s) than rank 0",
                  file->path, file->comm->rank, name);
}

static esp_status check_cover(const esp_h5 *file, const char *name, int64_t size, int64_t mine) {
  const int64_t sum = esp_agree_sum_i64(file->comm, mine);
  if (sum == size) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: the ranks' slabs have %lld of %lld along the axis of dataset %s", file->path,
                  (long long)sum, (long long)size, name);
}

static esp_status open_dataset_local(const esp_h5 *file, const char *name,
                                     const esp_h5_shape *shape, hid_t *dataset) {
  ESP_TRY(esp_h5_expect_shape_local(file, name, shape));
  *dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
  if (*dataset >= 0) return ESP_OK;
  return esp_fail(ESP_IO, "%s: cannot open dataset %s: %s", file->path, name, esp_h5_reason());
}

/* Make the dataset, or find the one that the layout has. */
static esp_status get_dataset(esp_h5 *file, const char *name, const esp_h5_shape *shape, hid_t type,
                              hid_t *dataset) {
  const esp_box whole = esp_box_whole(shape);
  if (file->phase == H5_PHASE_FILL) {
    const esp_status status = esp_agree(file->comm, open_dataset_local(file, name, shape, dataset));
    if (status != ESP_OK && *dataset >= 0) H5Dclose(*dataset); // another rank could not
    return status;
  }
  ESP_TRY(esp_h5_reserve(file, esp_box_count(&whole) * (int64_t)esp_dtype_bytes(shape->type)));
  return esp_h5_create_dataset(file, name, type, &whole, dataset);
}

static esp_status write_box(esp_h5 *file, const char *name, const esp_h5_shape *shape, esp_box box,
                            const void *data) {
  const hid_t type = esp_h5_type_new(shape->type);
  esp_h5_move move = {.type = type,
                      .element_bytes = (int64_t)esp_dtype_bytes(shape->type),
                      .box = box,
                      .writing = true,
                      .from = data};
  esp_status status = get_dataset(file, name, shape, type, &move.dataset);
  if (status == ESP_OK) {
    if (file->phase != H5_PHASE_LAY_OUT) status = esp_h5_move_box(file, name, &move);
    H5Dclose(move.dataset);
  }
  H5Tclose(type);
  return status;
}

esp_status esp_h5_write(esp_h5 *file, const char *name, const esp_h5_shape *shape,
                        const esp_h5_slab *slab, const void *data) {
  ESP_ASSERT(file->created);
  esp_status status = check_name_local(file, name);
  if (status == ESP_OK) status = check_shape_local(file, name, shape);
  if (status == ESP_OK) status = check_slab_local(file, name, shape, slab);
  ESP_TRY(esp_agree(file->comm, status));
  ESP_TRY(esp_agree(file->comm, check_same(file, name, hash_request(name, shape, slab->axis))));
  ESP_TRY(check_cover(file, name, shape->dims[slab->axis], slab->count));
  return write_box(file, name, shape, slab_box(shape, slab), data);
}

esp_status esp_h5_write_root(esp_h5 *file, const char *name, const esp_h5_shape *shape,
                             const void *data) {
  ESP_ASSERT(file->created);
  esp_status status = check_name_local(file, name);
  if (status == ESP_OK) status = check_shape_local(file, name, shape);
  ESP_TRY(esp_agree(file->comm, status));
  ESP_TRY(esp_agree(file->comm, check_same(file, name, hash_request(name, shape, -1))));
  return write_box(file, name, shape, file->comm->rank == 0 ? esp_box_whole(shape) : nothing(),
                   data);
}

esp_status esp_h5_allot(esp_h5 *file, const char *name, const esp_h5_shape *shape) {
  ESP_ASSERT(file->created);
  esp_status status = check_name_local(file, name);
  if (status == ESP_OK) status = check_shape_local(file, name, shape);
  ESP_TRY(esp_agree(file->comm, status));
  ESP_TRY(esp_agree(file->comm, check_same(file, name, hash_request(name, shape, -1))));
  const hid_t type = esp_h5_type_new(shape->type);
  hid_t dataset = -1;
  status = get_dataset(file, name, shape, type, &dataset);
  if (status == ESP_OK) H5Dclose(dataset);
  H5Tclose(type);
  return status;
}

/* Open a dataset and move a box of it, in either direction; in memory its elements are of `type`.
 */
static esp_status move_opened(esp_h5 *file, const char *name, esp_dtype type, esp_h5_move *move) {
  esp_status status = ESP_OK;
  move->type = esp_h5_type_new(type);
  move->element_bytes = (int64_t)esp_dtype_bytes(type);
  move->dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
  if (move->dataset < 0)
    status =
        esp_fail(ESP_FORMAT, "%s: cannot open dataset %s: %s", file->path, name, esp_h5_reason());
  status = esp_agree(file->comm, status);
  if (status == ESP_OK) status = esp_h5_move_box(file, name, move);
  if (move->dataset >= 0) H5Dclose(move->dataset);
  H5Tclose(move->type);
  return status;
}

esp_status esp_h5_write_part(esp_h5 *file, const char *name, const esp_h5_slab *slab,
                             const void *data) {
  ESP_ASSERT(file->created);
  esp_h5_shape shape;
  ESP_TRY(esp_h5_get_shape(file, name, &shape));
  ESP_TRY(esp_agree(file->comm, check_slab_local(file, name, &shape, slab)));
  esp_h5_move move = {.box = slab_box(&shape, slab), .writing = true, .from = data};
  return move_opened(file, name, shape.type, &move);
}

static esp_status read_box(esp_h5 *file, const char *name, const esp_h5_shape *shape, esp_box box,
                           void *data) {
  esp_h5_move move = {.box = box, .to = data};
  return move_opened(file, name, shape->type, &move);
}

esp_status esp_h5_read(esp_h5 *file, const char *name, const esp_h5_slab *slab, void *data) {
  esp_h5_shape shape;
  ESP_TRY(esp_h5_get_shape(file, name, &shape));
  ESP_TRY(esp_agree(file->comm, check_slab_local(file, name, &shape, slab)));
  return read_box(file, name, &shape, slab_box(&shape, slab), data);
}

esp_status esp_h5_read_all(esp_h5 *file, const char *name, void *data) {
  esp_h5_shape shape;
  ESP_TRY(esp_h5_get_shape(file, name, &shape));
  const esp_box whole = esp_box_whole(&shape);
  ESP_TRY(read_box(file, name, &shape, file->comm->rank == 0 ? whole : nothing(), data));
  esp_bcast(file->comm, data, esp_box_count(&whole) * (int64_t)esp_dtype_bytes(shape.type), 0);
  return ESP_OK;
}

esp_status esp_h5_read_converted(esp_h5 *file, const char *name, const esp_h5_numbers *numbers,
                                 esp_dtype to, void *data) {
  const bool root = file->comm->rank == 0;
  esp_h5_move move = {.box = root ? esp_box_whole(&numbers->shape) : nothing(), .to = data};
  const esp_box whole = esp_box_whole(&numbers->shape);
  ESP_TRY(move_opened(file, name, to, &move));
  esp_bcast(file->comm, data, esp_box_count(&whole) * (int64_t)esp_dtype_bytes(to), 0);
  return ESP_OK;
}
