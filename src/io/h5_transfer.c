#include "h5_internal.h"

#include "espalier/core/memory.h"
#include "output.h"

#include <string.h>

static hid_t new_space(const esp_box *box) {
  if (box->rank == 0) return H5Screate(H5S_SCALAR);
  hsize_t dims[ESP_MAX_RANK] = {0};
  for (int d = 0; d < box->rank; d++) dims[d] = (hsize_t)box->count[d];
  return H5Screate_simple(box->rank, dims, NULL);
}

static hid_t new_creation(hid_t kind) {
  const hid_t list = H5Pcreate(kind);
  H5Pset_obj_track_times(list, false);
  return list;
}

static bool make_groups(hid_t file, char *path) {
  const hid_t creation = new_creation(H5P_GROUP_CREATE);
  bool good = true;
  for (char *slash = strchr(path + 1, '/'); slash && good; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (H5Lexists(file, path, H5P_DEFAULT) <= 0) {
      const hid_t group = H5Gcreate2(file, path, H5P_DEFAULT, creation, H5P_DEFAULT);
      good = group >= 0 && H5Gclose(group) >= 0;
    }
    *slash = '/';
  }
  H5Pclose(creation);
  return good;
}

static hid_t create_dataset(hid_t file, const char *name, hid_t type, const esp_box *whole) {
  char *path = esp_strdup(name);
  hid_t dataset = -1;
  if (make_groups(file, path)) {
    const hid_t creation = new_creation(H5P_DATASET_CREATE), space = new_space(whole);
    H5Pset_layout(creation, H5D_CONTIGUOUS);
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
    dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    H5Sclose(space);
    H5Pclose(creation);
  }
  esp_free(&path);
  return dataset;
}

/* The library does not tell (with MPI-IO) how far it has laid out the file. Space is given out
 * upwards, so it is as far as the data of the last dataset, and the structures since. */
static void note_used_local(esp_h5 *file, hid_t dataset) {
  enum { STRUCTURE_BYTES = 1024 }; // header, link and their share of the indices
  const haddr_t address = H5Dget_offset(dataset);
  if (address != HADDR_UNDEF) {
    const int64_t end = (int64_t)(address + H5Dget_storage_size(dataset));
    if (end > file->used) file->used = end;
  }
  file->used += STRUCTURE_BYTES;
}

esp_status esp_h5_create_dataset(esp_h5 *file, const char *name, hid_t type, const esp_box *whole,
                                 hid_t *dataset) {
  *dataset = create_dataset(file->id, name, type, whole);
  esp_status status = ESP_OK;
  if (*dataset < 0)
    status =
        esp_fail(ESP_IO, "%s: cannot create dataset %s: %s", file->path, name, esp_h5_reason());
  status = esp_agree_or_end(file->comm, status);
  if (status == ESP_OK) note_used_local(file, *dataset);
  if (status != ESP_OK && *dataset >= 0) H5Dclose(*dataset);
  return status;
}

static void select_box(hid_t space, const esp_box *box) {
  hsize_t begin[ESP_MAX_RANK], count[ESP_MAX_RANK];
  for (int d = 0; d < box->rank; d++) {
    begin[d] = (hsize_t)box->begin[d];
    count[d] = (hsize_t)box->count[d];
  }
  if (box->rank > 0) H5Sselect_hyperslab(space, H5S_SELECT_SET, begin, NULL, count, NULL);
}

/* A scalar has one element, with nothing to select it by. */
static void select_piece(hid_t space, hid_t memory, const esp_box *piece) {
  if (piece) {
    select_box(space, piece);
  } else {
    H5Sselect_none(space);
    H5Sselect_none(memory);
  }
}

static bool move_piece(const esp_h5_move *move, const esp_box_cut *cut, int64_t i, hid_t transfer) {
  int64_t first = 0;
  const bool idle = i >= cut->pieces;
  const esp_box piece = idle ? (esp_box){0} : esp_box_piece(&move->box, cut, i, &first);
  const hsize_t count = (hsize_t)esp_box_count(&piece);
  const hid_t space = H5Dget_space(move->dataset), memory = H5Screate_simple(1, &count, NULL);
  select_piece(space, memory, idle ? NULL : &piece);
  const int64_t skip = first * move->element_bytes;
  char nothing = 0; // an idle rank may have no buffer
  herr_t code;
  if (move->writing) {
    const void *from = idle ? &nothing : (const char *)move->from + skip;
    code = H5Dwrite(move->dataset, move->type, memory, space, transfer, from);
  } else {
    void *to = idle ? &nothing : (char *)move->to + skip;
    code = H5Dread(move->dataset, move->type, memory, space, transfer, to);
  }
  H5Sclose(memory);
  H5Sclose(space);
  return code >= 0;
}

/* Pages of this node: rank 0 alone has the file open beside the library. */
static void start_stripe_local(esp_h5 *file, const esp_h5_move *move) {
  file->unstarted += esp_box_count(&move->box) * move->element_bytes;
  if (file->fd < 0 || file->unstarted < ESP_OUTPUT_STRIPE) return;
  esp_output_start(file->fd, 0, 0);
  file->unstarted = 0;
}

esp_status esp_h5_move_box(esp_h5 *file, const char *name, const esp_h5_move *move) {
  const esp_box_cut cut = esp_box_cut_into(&move->box, move->element_bytes, file->call_bytes);
  const int64_t calls = esp_agree_max_i64(file->comm, cut.pieces);
  const hid_t transfer = H5Pcreate(H5P_DATASET_XFER);
  H5Pset_dxpl_mpio(transfer, H5FD_MPIO_COLLECTIVE);
  esp_status status = ESP_OK;
  int64_t i = 0;
  do {
    if (i < calls && !move_piece(move, &cut, i, transfer))
      status = esp_fail(ESP_IO, "%s: cannot %s dataset %s: %s", file->path,
                        move->writing ? "write" : "read", name, esp_h5_reason());
    status = esp_agree_or_end(file->comm, status);
  } while (status == ESP_OK && ++i < calls);
  if (status == ESP_OK && move->writing) start_stripe_local(file, move);
  H5Pclose(transfer);
  return status;
}
