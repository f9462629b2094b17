/* What the files h5*.c share. */
#ifndef ESPALIER_SRC_IO_H5_INTERNAL_H
#define ESPALIER_SRC_IO_H5_INTERNAL_H

#include "box.h"
#include "espalier/io/h5.h"

#include <hdf5.h>

/* What writing a dataset means: make it and write, only make it, or only write. */
typedef enum h5_phase { H5_PHASE_WRITE, H5_PHASE_LAY_OUT, H5_PHASE_FILL } h5_phase;

struct esp_h5 {
  const esp_comm *comm; // borrowed
  char *path;           // owned
  hid_t id;             // -1: not open
  int fd;               // of a created file on rank 0, to set space aside; else -1
  bool created;
  h5_phase phase;
  int64_t bytes;      // of an opened file; 0: of one in the making
  int64_t used;       // bytes the library has laid out, at most
  int64_t reserved;   // bytes of disk set aside so far
  int64_t unstarted;  // bytes written that the disk has not been told to begin with
  int64_t call_bytes; // most that a rank moves in one collective call
};

/* Switch the error stack off; any number of times. Local. */
void esp_h5_init_library(void);
/* Why the last HDF5 call failed, in its words; a static buffer. Local. */
const char *esp_h5_reason(void);

/* Make the list of how a file is opened: by all ranks, or with comm NULL by this process alone;
 * closed by the caller. Local. */
hid_t esp_h5_access_new_local(const esp_comm *comm);
/* Note which file is being written, for the message of a write that fails. Local. */
void esp_h5_note_written_local(const char *path);

/* The file and memory type of elements; closed by the caller. Local. */
hid_t esp_h5_type_new(esp_dtype type);
/* Find the element type that equals an HDF5 type; ESP_DTYPE_COUNT if none does. Local. */
esp_dtype esp_h5_type_find(hid_t type);

/* Whether a file of its size can hold so many bytes of data, packed or not. Local. */
bool esp_h5_can_hold_local(const esp_h5 *file, int64_t bytes);
/* Say whether every part of a path exists. Local. */
bool esp_h5_has_local(const esp_h5 *file, const char *name);
/* Read a dataset's shape; FORMAT. Local. */
esp_status esp_h5_get_shape_local(const esp_h5 *file, const char *name, esp_h5_shape *shape);
/* What a dataset of numbers holds, of any width and byte order: truth values count as integers. */
typedef enum esp_h5_kind { ESP_H5_INTEGERS, ESP_H5_FLOATS, ESP_H5_OTHERS } esp_h5_kind;
typedef struct esp_h5_numbers {
  esp_h5_kind kind;
  bool is_unsigned;
  char type[48];      // in words, for messages: "big-endian uint16"
  esp_h5_shape shape; // of type ESP_DTYPE_COUNT where esp_dtype does not have it
} esp_h5_numbers;
esp_h5_kind esp_h5_type_describe(hid_t type, char *text, size_t size);
/* FORMAT: missing, of too many dimensions, packed by a filter that is not there. Local. */
esp_status esp_h5_get_numbers_local(const esp_h5 *file, const char *name, esp_h5_numbers *numbers);
/* Read a whole dataset as I64, U64 or F64 (to), which HDF5 converts to. Unsigned integers are to be
 * read as U64: HDF5 1.10 takes a big-endian one for I64 as it is. IO. Collective on file; equal on
 * all ranks: all but `data`. */
esp_status esp_h5_read_converted(esp_h5 *file, const char *name, const esp_h5_numbers *numbers,
                                 esp_dtype to, void *data);
/* esp_h5_expect_shape on this rank alone. Local. */
esp_status esp_h5_expect_shape_local(const esp_h5 *file, const char *name,
                                     const esp_h5_shape *expected);
/* Find where a contiguous dataset's bytes are in the file; 0 if it has none. FORMAT. Local. */
esp_status esp_h5_get_offset_local(const esp_h5 *file, const char *name, int64_t *offset);
/* List the names of a group's links; what is listed is owned by the caller: esp_h5_names_clear.
 * Local. */
typedef struct esp_h5_names {
  char **name;
  int count, capacity;
} esp_h5_names;
esp_status esp_h5_list_local(const esp_h5 *file, const char *group, esp_h5_names *names);
void esp_h5_names_clear(esp_h5_names *names);

/* Set disk space aside so that bytes more and the library's own structures fit. IO. Collective on
 * file; equal on all ranks: bytes. */
esp_status esp_h5_reserve(esp_h5 *file, int64_t bytes);
/* Create a dataset of the shape of whole, and the groups on the way; *dataset is closed by the
 * caller. IO. Collective. */
esp_status esp_h5_create_dataset(esp_h5 *file, const char *name, hid_t type, const esp_box *whole,
                                 hid_t *dataset);

/* Move this rank's box between memory and a dataset; an empty box takes part without data. IO.
 * Collective on file; equal on all ranks: name, and what of move is not the box and its data. */
typedef struct esp_h5_move {
  hid_t dataset, type;
  int64_t element_bytes;
  esp_box box;
  bool writing;
  void *to;         // reading
  const void *from; // writing
} esp_h5_move;
esp_status esp_h5_move_box(esp_h5 *file, const char *name, const esp_h5_move *move);

#endif
