#include "h5_internal.h"

#include "espalier/core/memory.h"

#include <string.h>

/* Asking for a path whose parent is missing is an error to the library. */
static bool has_prefixes(hid_t file, char *path) {
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    const bool there = H5Lexists(file, path, H5P_DEFAULT) > 0;
    *slash = '/';
    if (!there) return false;
  }
  return H5Lexists(file, path, H5P_DEFAULT) > 0;
}

bool esp_h5_has_local(const esp_h5 *file, const char *name) {
  if (strcmp(name, "/") == 0) return true;
  char *path = esp_strdup(name);
  const bool there = *path && has_prefixes(file->id, path);
  esp_free(&path);
  return there;
}

bool esp_h5_has(esp_h5 *file, const char *name) {
  int there = file->comm->rank == 0 && esp_h5_has_local(file, name);
  esp_bcast(file->comm, &there, sizeof there, 0);
  return there != 0;
}

/* Deflate packs 1032 bytes into one at best: a file that claims more is damaged, or lies. */
enum { MOST_RATIO = 1032 };

bool esp_h5_can_hold_local(const esp_h5 *file, int64_t bytes) {
  return file->bytes == 0 || bytes / MOST_RATIO <= file->bytes;
}

/* Once, here, so that whoever gets a shape can multiply it, and ask for the memory. */
static esp_status check_claim(const esp_h5 *file, const char *name, const esp_h5_shape *shape,
                              int64_t element_bytes, const char *type) {
  int64_t bytes = element_bytes;
  bool good = true;
  for (int d = 0; d < shape->rank && good; d++)
    good = shape->dims[d] >= 0 && !__builtin_mul_overflow(bytes, shape->dims[d], &bytes);
  if (good && esp_h5_can_hold_local(file, bytes)) return ESP_OK;
  char *dims = esp_dims_format(shape->rank, shape->dims);
  const esp_status status =
      esp_fail(ESP_FORMAT,
               "%s: dataset %s claims to be %s %s, more than %lld bytes of file can hold; write or "
               "copy it again",
               file->path, name, type, dims, (long long)file->bytes);
  esp_free(&dims);
  return status;
}

static esp_status read_extent_local(const esp_h5 *file, const char *name, hid_t space,
                                    esp_h5_shape *shape) {
  hsize_t dims[H5S_MAX_RANK];
  const int rank = H5Sget_simple_extent_dims(space, dims, NULL);
  if (rank < 0 || rank > ESP_MAX_RANK || H5Sget_simple_extent_type(space) == H5S_NULL)
    return esp_fail(ESP_FORMAT, "%s: dataset %s has %d dimensions; at most %d are supported",
                    file->path, name, rank, ESP_MAX_RANK);
  shape->rank = rank;
  for (int d = 0; d < ESP_MAX_RANK; d++) shape->dims[d] = d < rank ? (int64_t)dims[d] : 0;
  return ESP_OK;
}

/* Compression by a plugin that is not there would only be found when reading, on every rank. */
static esp_status check_filters_local(const esp_h5 *file, const char *name, hid_t dataset) {
  const hid_t creation = H5Dget_create_plist(dataset);
  esp_status status = ESP_OK;
  for (int i = 0; i < H5Pget_nfilters(creation) && status == ESP_OK; i++) {
    char filter[64] = "";
    unsigned flags, settings;
    size_t n = 0;
    const H5Z_filter_t id =
        H5Pget_filter2(creation, (unsigned)i, &flags, &n, NULL, sizeof filter, filter, &settings);
    if (id >= 0 && H5Zfilter_avail(id) <= 0)
      status = esp_fail(ESP_FORMAT,
                        "%s: dataset %s is packed by HDF5 filter %d (%s), which is not there; "
                        "install its plugin and set HDF5_PLUGIN_PATH, or write the file without: "
                        "h5repack -f GZIP=4",
                        file->path, name, (int)id, *filter ? filter : "no name");
  }
  H5Pclose(creation);
  return status;
}

static esp_status read_shape_local(const esp_h5 *file, const char *name, hid_t dataset,
                                   void *result) {
  esp_h5_shape *shape = result;
  const hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
  esp_status status = read_extent_local(file, name, space, shape);
  shape->type = esp_h5_type_find(type);
  if (status == ESP_OK && shape->type == ESP_DTYPE_COUNT)
    status =
        esp_fail(ESP_FORMAT,
                 "%s: dataset %s has an element type that is not one of F32, F16, BF16, F64, I32, "
                 "I64, U64, U8 (little endian); write it in one of them (tokens: I32)",
                 file->path, name);
  if (status == ESP_OK)
    status = check_claim(file, name, shape, (int64_t)esp_dtype_bytes(shape->type),
                         esp_dtype_name(shape->type));
  if (status == ESP_OK) status = check_filters_local(file, name, dataset);
  H5Sclose(space);
  H5Tclose(type);
  return status;
}

typedef esp_status dataset_reader(const esp_h5 *file, const char *name, hid_t dataset,
                                  void *result);

/* What `read` finds of the dataset once it is open. */
static esp_status look_local(const esp_h5 *file, const char *name, dataset_reader *read,
                             void *result) {
  if (!esp_h5_has_local(file, name))
    return esp_fail(ESP_FORMAT, "%s has no dataset %s", file->path, name);
  const hid_t dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
  if (dataset < 0)
    return esp_fail(ESP_FORMAT, "%s: %s is not a dataset: %s", file->path, name, esp_h5_reason());
  const esp_status status = read(file, name, dataset, result);
  H5Dclose(dataset);
  return status;
}

esp_status esp_h5_get_shape_local(const esp_h5 *file, const char *name, esp_h5_shape *shape) {
  return look_local(file, name, read_shape_local, shape);
}

static esp_status read_numbers_local(const esp_h5 *file, const char *name, hid_t dataset,
                                     void *result) {
  esp_h5_numbers *numbers = result;
  const hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
  numbers->kind = esp_h5_type_describe(type, numbers->type, sizeof numbers->type);
  numbers->shape.type = esp_h5_type_find(type);
  numbers->is_unsigned = numbers->kind == ESP_H5_INTEGERS && strstr(numbers->type, "uint");
  esp_status status = read_extent_local(file, name, space, &numbers->shape);
  if (status == ESP_OK)
    status = check_claim(file, name, &numbers->shape, (int64_t)H5Tget_size(type), numbers->type);
  if (status == ESP_OK) status = check_filters_local(file, name, dataset);
  H5Sclose(space);
  H5Tclose(type);
  return status;
}

esp_status esp_h5_get_numbers_local(const esp_h5 *file, const char *name, esp_h5_numbers *numbers) {
  *numbers = (esp_h5_numbers){0};
  return look_local(file, name, read_numbers_local, numbers);
}

esp_status esp_h5_get_shape(esp_h5 *file, const char *name, esp_h5_shape *shape) {
  *shape = (esp_h5_shape){0};
  const bool root = file->comm->rank == 0;
  ESP_TRY(esp_agree(file->comm, root ? esp_h5_get_shape_local(file, name, shape) : ESP_OK));
  esp_bcast(file->comm, shape, sizeof *shape, 0);
  return ESP_OK;
}

static bool is_same(const esp_h5_shape *a, const esp_h5_shape *b) {
  bool same = a->type == b->type && a->rank == b->rank;
  for (int d = 0; same && d < a->rank; d++) same = a->dims[d] == b->dims[d];
  return same;
}

static esp_status compare_shapes_local(const esp_h5 *file, const char *name,
                                       const esp_h5_shape *expected, const esp_h5_shape *found) {
  if (is_same(expected, found)) return ESP_OK;
  char *wanted = esp_dims_format(expected->rank, expected->dims);
  char *there = esp_dims_format(found->rank, found->dims);
  const esp_status status =
      esp_fail(ESP_FORMAT, "%s: dataset %s is %s %s, %s %s expected", file->path, name,
               esp_dtype_name(found->type), there, esp_dtype_name(expected->type), wanted);
  esp_free(&there);
  esp_free(&wanted);
  return status;
}

esp_status esp_h5_expect_shape(esp_h5 *file, const char *name, const esp_h5_shape *expected) {
  esp_h5_shape found;
  ESP_TRY(esp_h5_get_shape(file, name, &found));
  return esp_agree(file->comm, compare_shapes_local(file, name, expected, &found));
}

esp_status esp_h5_expect_shape_local(const esp_h5 *file, const char *name,
                                     const esp_h5_shape *expected) {
  esp_h5_shape found;
  ESP_TRY(esp_h5_get_shape_local(file, name, &found));
  return compare_shapes_local(file, name, expected, &found);
}

static esp_status read_offset_local(const esp_h5 *file, const char *name, hid_t dataset,
                                    int64_t *offset) {
  const hid_t creation = H5Dget_create_plist(dataset);
  const bool contiguous =
      H5Pget_layout(creation) == H5D_CONTIGUOUS && H5Pget_external_count(creation) == 0;
  H5Pclose(creation);
  if (!contiguous)
    return esp_fail(
        ESP_FORMAT,
        "%s: dataset %s is chunked, compressed, compact or external; store it contiguous "
        "(h5repack -l CONTI)",
        file->path, name);
  const hid_t space = H5Dget_space(dataset);
  const bool empty = H5Sget_simple_extent_npoints(space) == 0;
  H5Sclose(space);
  *offset = 0;
  if (empty) return ESP_OK;
  const haddr_t address = H5Dget_offset(dataset);
  if (address == HADDR_UNDEF)
    return esp_fail(ESP_FORMAT, "%s: dataset %s was never written", file->path, name);
  *offset = (int64_t)address;
  return ESP_OK;
}

esp_status esp_h5_get_offset_local(const esp_h5 *file, const char *name, int64_t *offset) {
  const hid_t dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
  if (dataset < 0)
    return esp_fail(ESP_FORMAT, "%s: %s is not a dataset: %s", file->path, name, esp_h5_reason());
  const esp_status status = read_offset_local(file, name, dataset, offset);
  H5Dclose(dataset);
  return status;
}

static herr_t keep_name(hid_t group, const char *name, const H5L_info_t *about, void *state) {
  (void)group;
  (void)about;
  esp_h5_names *names = state;
  if (names->count == names->capacity) {
    names->capacity = names->capacity ? 2 * names->capacity : 64;
    char **wider = ESP_NEW(char *, names->capacity);
    if (names->count) memcpy(wider, names->name, (size_t)names->count * sizeof *wider);
    esp_free(&names->name);
    names->name = wider;
  }
  names->name[names->count++] = esp_strdup(name);
  return 0;
}

esp_status esp_h5_list_local(const esp_h5 *file, const char *group, esp_h5_names *names) {
  *names = (esp_h5_names){0};
  const hid_t id = esp_h5_has_local(file, group) ? H5Gopen2(file->id, group, H5P_DEFAULT) : -1;
  if (id < 0) return esp_fail(ESP_FORMAT, "%s has no group %s", file->path, group);
  const herr_t code = H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, NULL, keep_name, names);
  H5Gclose(id);
  if (code >= 0) return ESP_OK;
  esp_h5_names_clear(names);
  return esp_fail(ESP_FORMAT, "%s: cannot list %s: %s", file->path, group, esp_h5_reason());
}

void esp_h5_names_clear(esp_h5_names *names) {
  for (int i = 0; i < names->count; i++) esp_free(&names->name[i]);
  esp_free(&names->name);
  *names = (esp_h5_names){0};
}
