/* Whether a training's files will have room. */
#ifndef ESPALIER_SRC_TRAIN_ROOM_H
#define ESPALIER_SRC_TRAIN_ROOM_H

#include "train_internal.h"

/* Warn on rank 0 where the file system says that it has less than checkpoints and result take
 * together. It may be wrong, so nothing is refused. Local. */
void room_warn_local(const training *self);

#endif
