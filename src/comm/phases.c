#include "espalier/comm/phases.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <string.h>

static int find_or_add(esp_phases *self, const char *name) {
  for (int i = 0; i < self->count; i++)
    if (strcmp(self->name[i], name) == 0) return i;
  ESP_ASSERT(self->count < ESP_MAX_PHASES);
  self->name[self->count] = name;
  return self->count++;
}

void esp_phases_begin(esp_phases *self, const char *name) {
  esp_phases_end(self);
  self->current = find_or_add(self, name) + 1;
  self->start_s = esp_now_s();
}

void esp_phases_end(esp_phases *self) {
  if (self->current > 0) self->seconds[self->current - 1] += esp_now_s() - self->start_s;
  self->current = 0;
  esp_peak_anonymous_bytes(); // sampled at every change of phase
}

static json_t *pack_spread(esp_spread spread) {
  return json_pack("{s:f, s:f, s:f, s:i}", "min", spread.min, "mean", spread.mean, "max",
                   spread.max, "max_rank", spread.max_rank);
}

json_t *esp_phases_gather(const esp_comm *comm, const esp_phases *self) {
  const esp_spread count = esp_compute_spread(comm, self->count);
  ESP_ASSERT(count.min == count.max); // otherwise ranks would hang in what follows
  json_t *all = json_object();
  json_t *phases = json_object();
  for (int i = 0; i < self->count; i++)
    json_object_set_new(phases, self->name[i],
                        pack_spread(esp_compute_spread(comm, self->seconds[i])));
  json_object_set_new(all, "phases_s", phases);
  const esp_spread rss = esp_compute_spread(comm, (double)esp_peak_rss_bytes());
  const esp_spread anonymous = esp_compute_spread(comm, (double)esp_peak_anonymous_bytes());
  json_object_set_new(all, "peak_rss_bytes", pack_spread(rss));
  json_object_set_new(all, "peak_anonymous_bytes", pack_spread(anonymous));
  return all;
}
