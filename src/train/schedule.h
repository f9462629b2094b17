/* The learning rate of a step. */
#ifndef ESPALIER_SRC_TRAIN_SCHEDULE_H
#define ESPALIER_SRC_TRAIN_SCHEDULE_H

#include "espalier/core/status.h"

#include <stdbool.h>
#include <stdint.h>

/* One row of the table in schedule.c. */
typedef struct schedule {
  const char *name;
  double (*follow)(double part,
                   double ratio); // the rate as a part of the peak; part: of the steps
                                  // behind the warm-up; ratio: step over warm-up's last
  bool has_end;                   // at 0, or at a part of the peak that is asked
} schedule;

/* USAGE. Local. */
esp_status schedule_find(const char *name, const schedule **found);
/* Of step (from 0) of n: up to rate in a fraction warmup of the steps, then as the schedule says,
 * down to a fraction last of it; in the middle of the step. Local. */
typedef struct schedule_shape {
  const schedule *form;
  double rate, warmup, last;
  int64_t n;
} schedule_shape;
double schedule_compute_rate(const schedule_shape *self, int64_t step);

#endif
