/* Parallel HDF5. The only place that calls the library; its error stack is off and turned into our
 * messages. Files are created as PATH.partial and renamed when complete; no time stamps are stored,
 * so that the same content gives the same bytes. Datasets are contiguous, uncompressed, aligned to
 * 64 bytes; transfers are collective, below 2 GiB a call, in equal numbers of calls on all ranks.
 */
#ifndef ESPALIER_IO_H5_H
#define ESPALIER_IO_H5_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"
#include "espalier/io/dtype.h"

ESP_C_BEGIN

enum { ESP_MAX_RANK = 4 };

typedef struct esp_h5 esp_h5;

/* Shape and type of a dataset. */
typedef struct esp_h5_shape {
  esp_dtype type;
  int rank;
  int64_t dims[ESP_MAX_RANK];
} esp_h5_shape;

/* A rank's part of a dataset: [begin, begin + count) along one axis, whole along the others. count
 * 0 takes part without data. */
typedef struct esp_h5_slab {
  int axis;
  int64_t begin, count;
} esp_h5_slab;

/* As esp_file_check_writable (io/file.h); IO also where MPI-IO cannot take the name. Collective on
 * comm; equal on all ranks: path, bytes. */
esp_status esp_h5_check_writable(const esp_comm *comm, const char *path, int64_t bytes);

/* Create PATH.partial for writing / open PATH for reading. comm is borrowed and must outlive the
 * file. IO: missing, no permission, no room, a ':' in the path, not the same file on all ranks;
 * FORMAT: not HDF5, or truncated. *file is NULL on failure. Collective on comm; equal on all ranks:
 * path. */
esp_status esp_h5_create(const esp_comm *comm, const char *path, esp_h5 **file);
esp_status esp_h5_open(const esp_comm *comm, const char *path, esp_h5 **file);

/* Files that survive a kill: first the layout is made, then data are put in place, and the library
 * has no structures of its own left to write, so that the file is readable at any moment.
 * esp_h5_lay_out: like esp_h5_create, but until esp_h5_fill the writing functions only make
 * datasets (data are not looked at; texts are written). esp_h5_fill: close and open again; from now
 * on they put data into datasets that are there (MISMATCH: of another shape). esp_h5_open_partial:
 * go on filling PATH.partial of a run that ended; what esp_h5_open says. On failure the file is
 * closed, and a made one removed. Collective on comm, or on file; equal on all ranks: path. */
esp_status esp_h5_lay_out(const esp_comm *comm, const char *path, esp_h5 **file);
esp_status esp_h5_fill(esp_h5 *file);
esp_status esp_h5_open_partial(const esp_comm *comm, const char *path, esp_h5 **file);
/* Bring what was written to disk, on all nodes. IO. Collective on file. */
esp_status esp_h5_flush(esp_h5 *file);
/* Close and leave PATH.partial behind, to be gone on with. Collective on *file. */
void esp_h5_keep(esp_h5 **file);

/* Finish a created file: close, flush to disk, rename to PATH. IO: nothing is left under either
 * name. *file becomes NULL. Collective on *file. */
esp_status esp_h5_commit(esp_h5 **file);
/* Close; a created file that was not committed is removed. NULL inside is fine. Collective on
 * *file. */
void esp_h5_close(esp_h5 **file);

/* Create dataset NAME (missing groups on the way are made) and write every rank's slab; the slabs
 * of all ranks cover it once. data is the slab, C order, elements of shape->type; NULL where count
 * is 0. IO: no room (nothing is written then, and the file stays usable), name taken; MISMATCH: a
 * slab lies outside, the slabs don't cover the dataset, ranks differ in name or shape. Collective
 * on file; equal on all ranks: name, shape, slab's axis. */
esp_status esp_h5_write(esp_h5 *file, const char *name, const esp_h5_shape *shape,
                        const esp_h5_slab *slab, const void *data);
/* Create a dataset, and write slabs of it in any number of calls; that they cover it is the
 * caller's to see to. data may be NULL where count is 0. IO, MISMATCH as above; FORMAT: there is no
 * such dataset. Collective on file; equal on all ranks: name, shape. */
esp_status esp_h5_allot(esp_h5 *file, const char *name, const esp_h5_shape *shape);
esp_status esp_h5_write_part(esp_h5 *file, const char *name, const esp_h5_slab *slab,
                             const void *data);
/* Like esp_h5_write, of data that rank 0 has whole; others pass NULL. Collective on file; equal on
 * all ranks: name, shape. */
esp_status esp_h5_write_root(esp_h5 *file, const char *name, const esp_h5_shape *shape,
                             const void *data);
/* Write / read a UTF-8 text as a fixed-length scalar string; rank 0's is written, others may pass
 * NULL. *text is owned by the caller. IO; FORMAT: missing, not such a text. Collective on file;
 * equal on all ranks: name. */
esp_status esp_h5_write_text(esp_h5 *file, const char *name, const char *text);
esp_status esp_h5_read_text(esp_h5 *file, const char *name, char **text);

/* Return whether a dataset or group exists, as rank 0 sees it. Collective on file; equal on all
 * ranks: name. */
bool esp_h5_has(esp_h5 *file, const char *name);
/* Get a dataset's shape. FORMAT: missing, or of a type or rank that esp_dtype does not have.
 * Collective on file; equal on all ranks: name. */
esp_status esp_h5_get_shape(esp_h5 *file, const char *name, esp_h5_shape *shape);
/* Fail with FORMAT, naming file, dataset, expected and found, unless the shape is as expected.
 * Collective on file; equal on all ranks: name. */
esp_status esp_h5_expect_shape(esp_h5 *file, const char *name, const esp_h5_shape *expected);
/* Read this rank's slab (the ranks' slabs may overlap). Elements come as stored. FORMAT, IO;
 * MISMATCH: the slab lies outside. Collective on file; equal on all ranks: name. */
esp_status esp_h5_read(esp_h5 *file, const char *name, const esp_h5_slab *slab, void *data);
/* Copy the datasets of a group, if there is one, to a file in the making. FORMAT, IO. Collective on
 * both; equal on all ranks: group. */
esp_status esp_h5_copy_group(esp_h5 *from, esp_h5 *to, const char *group);
/* Read a whole dataset into every rank's data (rank 0 reads, then broadcast). Collective on file;
 * equal on all ranks: name. */
esp_status esp_h5_read_all(esp_h5 *file, const char *name, void *data);

ESP_C_END

#endif
