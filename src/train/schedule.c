#include "schedule.h"

#include "espalier/core/named.h"

#include <math.h>

static double follow_cosine(double part, double ratio) {
  (void)ratio;
  return 0.5 * (1.0 + cos(3.141592653589793 * part));
}

static double follow_linear(double part, double ratio) {
  (void)ratio;
  return 1.0 - part;
}

static double follow_constant(double part, double ratio) {
  (void)part;
  (void)ratio;
  return 1.0;
}

static double follow_inverse_root(double part, double ratio) {
  (void)part;
  return 1.0 / sqrt(fmax(ratio, 1.0));
}

static const schedule schedules[] = {{"cosine", follow_cosine, true},
                                     {"linear", follow_linear, true},
                                     {"constant", follow_constant, false},
                                     {"inverse-sqrt", follow_inverse_root, false},
                                     {0}};

esp_status schedule_find(const char *name, const schedule **found) {
  int i;
  ESP_TRY(esp_find_row("schedule", name, schedules, sizeof *schedules, &i));
  *found = &schedules[i];
  return ESP_OK;
}

double schedule_compute_rate(const schedule_shape *self, int64_t step) {
  const double warm = self->warmup * (double)self->n, at = (double)step + 0.5;
  if (at < warm) return self->rate * at / warm;
  const double part = (at - warm) / ((double)self->n - warm);
  const double height = self->form->follow(part, at / fmax(warm, 1.0));
  const double last = self->form->has_end ? self->last : 0.0;
  return self->rate * (last + (1.0 - last) * height);
}
