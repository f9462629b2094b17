#include "h5.h"

#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_OPERATIONS = 16, MOST_ELEMENTS = 1 << 12, MOST_RANK = 6, TEXT_BYTES = 1 << 12 };

typedef struct editor {
  hid_t file;
  const char *const *names;
  fuzz_input *input;
  long patch_at;
  int patch; // byte to write there when the file is closed; -1: none
  int cut;   // bytes to take off its end
} editor;

static const char *take_name(editor *self) {
  int count = 0;
  while (self->names[count]) count++;
  return self->names[fuzz_take(self->input) % count];
}

static unsigned take_word(editor *self) {
  const unsigned high = fuzz_take(self->input);
  return high << 8 | fuzz_take(self->input);
}

static hid_t take_type(editor *self) {
  const hid_t types[] = {H5T_STD_I32LE,  H5T_STD_I64LE,  H5T_STD_U64LE, H5T_STD_U8LE,
                         H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_STD_I32BE, H5T_STD_I16LE,
                         H5T_IEEE_F64BE, H5T_STD_B8LE,   H5T_STD_U32LE};
  return types[fuzz_take(self->input) % (sizeof types / sizeof *types)];
}

/* Small, or more than any file has. */
static hsize_t take_dimension(editor *self) {
  const unsigned size = fuzz_take(self->input);
  return size < 250 ? size : (hsize_t)1 << (8 * (size - 248));
}

/* Contiguous or in chunks, packed or not. */
static hid_t take_layout(editor *self, int rank) {
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[MOST_RANK] = {2, 2, 2, 2, 2, 2};
  const unsigned layout = fuzz_take(self->input) % 4;
  if (layout == 1) H5Pset_layout(creation, H5D_COMPACT);
  if (layout >= 2 && rank > 0) H5Pset_chunk(creation, rank, chunk);
  if (layout == 3 && rank > 0) H5Pset_deflate(creation, 9);
  return creation;
}

static void remove_object(editor *self, const char *name) {
  H5Ldelete(self->file, name, H5P_DEFAULT);
}

/* Values that repeat a few bytes; a data set that is too large for the test stays without. */
static void fill(editor *self, hid_t dataset, hid_t space) {
  static long long values[MOST_ELEMENTS];
  const int period = fuzz_take(self->input) % 8 + 1;
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (count < 0 || count > MOST_ELEMENTS) return;
  for (hssize_t i = 0; i < count; i++)
    values[i] = i < period ? (signed char)fuzz_take(self->input) : values[i - period];
  H5Dwrite(dataset, H5T_NATIVE_LLONG, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
}

static void make_numbers(editor *self, const char *name) {
  hsize_t dims[MOST_RANK];
  const hid_t type = take_type(self);
  const int rank = fuzz_take(self->input) % (MOST_RANK + 1);
  for (int d = 0; d < rank; d++) dims[d] = take_dimension(self);
  const hid_t creation = take_layout(self, rank), space = H5Screate_simple(rank, dims, NULL);
  remove_object(self, name);
  const hid_t dataset =
      H5Dcreate2(self->file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  if (dataset >= 0) {
    fill(self, dataset, space);
    H5Dclose(dataset);
  }
  H5Sclose(space);
  H5Pclose(creation);
}

static void write_text(editor *self, const char *name, const char *text, size_t bytes) {
  const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
  H5Tset_size(type, bytes > 0 ? bytes : 1);
  remove_object(self, name);
  const hid_t dataset =
      H5Dcreate2(self->file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  if (dataset >= 0) {
    H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text);
    H5Dclose(dataset);
  }
  H5Sclose(space);
  H5Tclose(type);
}

static size_t read_text(editor *self, const char *name, char text[TEXT_BYTES]) {
  size_t bytes = 0;
  const hid_t dataset = H5Dopen2(self->file, name, H5P_DEFAULT);
  if (dataset < 0) return 0;
  const hid_t type = H5Dget_type(dataset);
  if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
      H5Tget_size(type) < TEXT_BYTES &&
      H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) >= 0)
    bytes = H5Tget_size(type);
  H5Tclose(type);
  H5Dclose(dataset);
  return bytes;
}

/* Other bytes in the place of some. */
static void edit_text(editor *self, const char *name) {
  static char text[TEXT_BYTES], edited[TEXT_BYTES + 256];
  const size_t bytes = read_text(self, name, text);
  const unsigned where = take_word(self), cut = fuzz_take(self->input),
                 put = fuzz_take(self->input);
  if (bytes == 0) return;
  const size_t begin = where % bytes, end = begin + cut < bytes ? begin + cut : bytes;
  const char *insert = fuzz_take_text(self->input, put);
  const size_t inserted = strlen(insert);
  memcpy(edited, text, begin);
  memcpy(edited + begin, insert, inserted);
  memcpy(edited + begin + inserted, text + end, bytes - end);
  write_text(self, name, edited, begin + inserted + bytes - end);
}

/* One value of a small data set. */
static void edit_number(editor *self, const char *name) {
  static double values[MOST_ELEMENTS];
  const double special[] = {-1, 0, 1, 1e9, 1e18, -1e18, (double)INFINITY, (double)NAN};
  const unsigned where = take_word(self), what = fuzz_take(self->input);
  const hid_t dataset = H5Dopen2(self->file, name, H5P_DEFAULT);
  if (dataset < 0) return;
  const hid_t space = H5Dget_space(dataset);
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (count > 0 && count <= MOST_ELEMENTS &&
      H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0) {
    values[where % count] = what < 8 ? special[what] : what;
    H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  }
  H5Sclose(space);
  H5Dclose(dataset);
}

static void make_link(editor *self, const char *name) {
  const unsigned kind = fuzz_take(self->input) % 4;
  const char *target = take_name(self);
  remove_object(self, name);
  if (kind == 0) H5Gclose(H5Gcreate2(self->file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  if (kind == 1) H5Lcreate_soft(target, self->file, name, H5P_DEFAULT, H5P_DEFAULT);
  if (kind == 2) H5Lcreate_hard(self->file, target, self->file, name, H5P_DEFAULT, H5P_DEFAULT);
  if (kind == 3) H5Lcreate_external("none.h5", target, self->file, name, H5P_DEFAULT, H5P_DEFAULT);
}

static void note_patch(editor *self) {
  self->patch_at = (long)take_word(self);
  self->patch = fuzz_take(self->input);
}

static void apply(editor *self) {
  const unsigned operation = fuzz_take(self->input) % 8;
  const char *name = take_name(self);
  if (operation == 0) remove_object(self, name);
  if (operation == 1) make_numbers(self, name);
  if (operation == 2) {
    const char *text = fuzz_take_text(self->input, take_word(self));
    write_text(self, name, text, strlen(text));
  }
  if (operation == 3) edit_text(self, name);
  if (operation == 4) edit_number(self, name);
  if (operation == 5) make_link(self, name);
  if (operation == 6) note_patch(self);
  if (operation == 7) self->cut = fuzz_take(self->input);
}

static void copy_file(const char *from, const char *to) {
  static char bytes[1 << 20];
  FILE *file = fopen(fuzz_path(from), "rb");
  if (!file) abort();
  const size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  fuzz_write(to, bytes, size);
}

static void damage_file(const editor *self, const char *path) {
  FILE *file = fopen(path, "r+b");
  if (!file || fseek(file, 0, SEEK_END) != 0) abort();
  const long size = ftell(file);
  if (self->patch >= 0 && size > 0 && fseek(file, self->patch_at % size, SEEK_SET) == 0)
    fputc(self->patch, file);
  fclose(file);
  if (self->cut > 0 && truncate(path, self->cut < size ? size - self->cut : 0) != 0) abort();
}

void fuzz_h5_edit(const char *from, const char *to, const char *const *names, fuzz_input *input) {
  editor self = {.names = names, .input = input, .patch = -1};
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  copy_file(from, to);
  self.file = H5Fopen(fuzz_path(to), H5F_ACC_RDWR, H5P_DEFAULT);
  if (self.file < 0) abort();
  for (int i = 0; i < MOST_OPERATIONS && input->size > 0; i++) apply(&self);
  H5Fclose(self.file);
  damage_file(&self, fuzz_path(to));
}

void fuzz_h5_end(void) {
  if (H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL) == 0) return;
  fprintf(stderr, "fuzz: an object of HDF5 was left open\n");
  abort();
}
