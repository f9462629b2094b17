/* Folders that are complete or absent: made as PATH.partial and renamed when complete. */
#ifndef ESPALIER_IO_FOLDER_H
#define ESPALIER_IO_FOLDER_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"

ESP_C_BEGIN

/* Make PATH.partial and give its name, owned by the caller; one that an earlier run left is removed
 * first. IO: PATH is a file or a folder that is not empty, its parent is missing or not writable, a
 * rank does not see what rank 0 made; *partial is NULL then. Collective on comm; equal on all
 * ranks: path. */
esp_status esp_folder_create(const esp_comm *comm, const char *path, char **partial);

/* Rename PATH.partial to PATH. IO: nothing is left. Collective on comm; equal on all ranks: path.
 */
esp_status esp_folder_commit(const esp_comm *comm, const char *path);

/* Remove PATH.partial and the files in it, if it is there. Collective on comm (rank 0 acts); equal
 * on all ranks: path. */
void esp_folder_abandon(const esp_comm *comm, const char *path);

/* Copy the plain files of a folder whose names match one of the shell patterns (ended by NULL) to
 * another folder, byte for byte, on rank 0; *copied is their number, on all ranks. IO.
 * Collective on comm; equal on all ranks: all that goes in. */
esp_status esp_folder_copy(const esp_comm *comm, const char *from, const char *to,
                           const char *const *patterns, int *copied);

ESP_C_END

#endif
