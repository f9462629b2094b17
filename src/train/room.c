#include "room.h"

#include "espalier/core/log.h"
#include "espalier/io/cost.h"
#include "espalier/io/file.h"
#include "espalier/model/cost.h"

#include <math.h>
#include <sys/stat.h>

static double get_size(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 ? (double)about.st_size : 0.0;
}

/* A new checkpoint is complete before the old one goes, and the last goes behind the result; a file
 * of HDF5 is begun with a buffer more. */
void room_warn_local(const training *self) {
  const char *path = self->request->checkpoint;
  if (!path || self->comm->rank != 0) return;
  const double checkpoint = checkpoint_count_bytes(self);
  const double result = esp_model_file_bytes(self->request->model);
  const double early = self->request->early ? result : 0.0;
  const double needed = checkpoint + fmax(checkpoint, result) + early + ESP_H5_BUFFER_BYTES;
  const double has = esp_file_count_free_local(path) + get_size(path);
  if (has < 0.0 || needed <= has) return;
  esp_log_warn(
      "%s: checkpoints of %.1f MB, two at a time, and a result of %.1f MB: expected %.1f MB "
      "free, found %.1f; free some space, or the training fails when it writes them",
      path, checkpoint / 1e6, result / 1e6, needed / 1e6, has / 1e6);
}
