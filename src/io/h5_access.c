#include "h5_internal.h"

#include "espalier/comm/handle.h"
#include "espalier/core/deadline.h"

#include <stdio.h>

/* Of the file in the making, for the message. */
static char written_path[512];

void esp_h5_note_written_local(const char *path) {
  snprintf(written_path, sizeof written_path, "%s", path);
}

/* Called where MPI-IO has failed, deep in the HDF5 library, which may then wait for ranks that wait
 * elsewhere: the job ends if they have not agreed on the failure in time. */
static void note_failure(MPI_File *file, int *code, ...) {
  char reason[MPI_MAX_ERROR_STRING];
  int length, mode = MPI_MODE_RDONLY;
  MPI_Error_string(*code, reason, &length);
  if (file && *file != MPI_FILE_NULL) MPI_File_get_amode(*file, &mode);
  if (mode & MPI_MODE_RDONLY)
    esp_deadline_set(esp_fail(ESP_IO, "cannot read an HDF5 file: %s", reason));
  else
    esp_deadline_set(esp_fail(ESP_IO, "cannot write %s: %s", written_path, reason));
}

/* Files take it over that are opened from now on. */
static void watch_failures(void) {
  static bool is_watching;
  MPI_Errhandler handler;
  if (is_watching) return;
  is_watching = true;
  MPI_File_create_errhandler(note_failure, &handler);
  MPI_File_set_errhandler(MPI_FILE_NULL, handler);
  MPI_Errhandler_free(&handler);
}

/* A strided piece is written as its rows. ROMIO would rather read, change and write back what lies
 * around them ("data sieving"), holding a lock on the file, and ends the job where there are none.
 */
static void set_parallel_access(hid_t access_list, const esp_comm *comm) {
  MPI_Info info;
  watch_failures();
  MPI_Info_create(&info);
  MPI_Info_set(info, "romio_ds_write", "disable");
  H5Pset_fapl_mpio(access_list, esp_comm_get_handle_local(comm), info);
  MPI_Info_free(&info);
}

/* Locking is off: output goes to a name of its own, and many parallel file systems have no locks.
 */
hid_t esp_h5_access_new_local(const esp_comm *comm) {
  const hid_t access_list = H5Pcreate(H5P_FILE_ACCESS);
  if (comm) set_parallel_access(access_list, comm);
#if H5_VERSION_GE(1, 12, 1) || (H5_VERS_MINOR == 10 && H5_VERS_RELEASE >= 7)
  H5Pset_file_locking(access_list, false, true);
#endif
  return access_list;
}
