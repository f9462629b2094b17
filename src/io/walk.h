/* Walking and copying of folders, shared by folder.c and companions.c. All local. */
#ifndef ESPALIER_SRC_IO_WALK_H
#define ESPALIER_SRC_IO_WALK_H

#include "espalier/core/status.h"

#include <stdbool.h>

/* Call act(folder, name) for every entry but . and .., in the order of their names, while it
 * succeeds. IO. */
esp_status walk_folder(const char *folder,
                       esp_status (*act)(const char *folder, const char *name, void *state),
                       void *state);

/* Whether a name matches one of the shell patterns, ended by NULL. */
bool walk_matches(const char *const *patterns, const char *name);

/* Copy a plain file's bytes and flush them to disk. IO. */
esp_status walk_copy_file(const char *path, const char *target);

/* Flush a folder, so that the names in it survive a crash, where the file system can. */
void walk_flush(const char *folder);

#endif
