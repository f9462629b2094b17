/* What may be asked for, and is hardly meant. */
#ifndef ESPALIER_SRC_TRAIN_DOUBTFUL_H
#define ESPALIER_SRC_TRAIN_DOUBTFUL_H

#include "command_job.h"

/* A warning each: rates of 0, a batch above the data, held-out data that are trained on. Local. */
void doubtful_warn(const command_job *job);

#endif
