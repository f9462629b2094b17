#include "espalier/comm/phases.h"

#include "comm_internal.h"
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

/* Memory is sampled at every change of phase, and with every big allocation in between; what a
 * phase has freed does not count for the next. */
void esp_phases_end(esp_phases *self) {
  const int64_t peak = esp_take_peak_anonymous_bytes();
  const int i = self->current - 1;
  esp_release_unused();
  esp_take_peak_anonymous_bytes();
  self->current = 0;
  if (i < 0) return;
  self->seconds[i] += esp_now_s() - self->start_s;
  if (peak > self->bytes[i]) self->bytes[i] = peak;
}

static json_t *gather_value(const esp_comm *comm, double value) {
  char host[MPI_MAX_PROCESSOR_NAME] = "";
  int length;
  const esp_spread spread = esp_compute_spread(comm, value);
  MPI_Get_processor_name(host, &length);
  comm_bcast(comm, ESP_CONTROL, host, sizeof host, spread.max_rank);
  return json_pack("{s:f, s:f, s:f, s:i, s:s}", "min", spread.min, "mean", spread.mean, "max",
                   spread.max, "max_rank", spread.max_rank, "max_host", host);
}

/* With the values of all ranks beside. */
static json_t *gather_list(const esp_comm *comm, int64_t value) {
  json_t *all = gather_value(comm, (double)value), *ranks = json_array();
  int64_t *values = ESP_NEW(int64_t, comm->size);
  esp_allgather_i64(comm, ESP_CONTROL, value, values);
  for (int r = 0; r < comm->size; r++) json_array_append_new(ranks, json_integer(values[r]));
  json_object_set_new(all, "ranks", ranks);
  esp_free(&values);
  return all;
}

json_t *esp_phases_gather_traffic(const esp_comm *comm) {
  const esp_traffic mine = *esp_comm_get_traffic_local(comm); // gathering adds to it
  json_t *all = json_object();
  for (int i = 0; i < ESP_N_COLLECTIVES; i++) {
    const esp_spread bytes = esp_compute_spread(comm, (double)mine.bytes[i]);
    json_object_set_new(all, esp_collective_name((esp_collective)i),
                        json_pack("{s:I, s:I, s:I}", "calls", (json_int_t)mine.calls[i], "bytes",
                                  (json_int_t)(bytes.mean + 0.5), "bytes_max",
                                  (json_int_t)bytes.max));
  }
  return all;
}

json_t *esp_phases_gather(const esp_comm *comm, const esp_phases *self) {
  const esp_spread count = esp_compute_spread(comm, self->count);
  ESP_ASSERT(count.min == count.max); // otherwise ranks would hang in what follows
  json_t *all = json_object(), *times = json_object(), *peaks = json_object();
  for (int i = 0; i < self->count; i++) {
    json_object_set_new(times, self->name[i], gather_value(comm, self->seconds[i]));
    json_object_set_new(peaks, self->name[i], gather_value(comm, (double)self->bytes[i]));
  }
  json_object_set_new(all, "phases_s", times);
  json_object_set_new(all, "phases_peak_bytes", peaks);
  json_object_set_new(all, "peak_rss_bytes", gather_list(comm, esp_peak_rss_bytes()));
  json_object_set_new(all, "peak_anonymous_bytes", gather_list(comm, esp_peak_anonymous_bytes()));
  json_object_set_new(all, "traffic", esp_phases_gather_traffic(comm)); // last: of all above too
  return all;
}

static double get(const json_t *spread, const char *key) {
  return json_number_value(json_object_get(spread, key));
}

static const char *get_host(const json_t *spread) {
  return json_string_value(json_object_get(spread, "max_host"));
}

/* "read 0.1 s, collect 12.3 s", the mean over ranks; a text of the caller's. */
static char *list_times(const json_t *times, const char **slowest) {
  char *text = esp_strdup("");
  double most = -1.0;
  const char *name;
  json_t *spread;
  *slowest = NULL;
  json_object_foreach((json_t *)(uintptr_t)times, name, spread) {
    char *longer = esp_format("%s%s%s %.1f s", text, *text ? ", " : "", name, get(spread, "mean"));
    esp_free(&text);
    text = longer;
    if (get(spread, "max") <= most) continue;
    most = get(spread, "max");
    *slowest = name;
  }
  return text;
}

void esp_phases_log(const json_t *run) {
  const json_t *times = json_object_get(run, "phases_s");
  const json_t *memory = json_object_get(run, "peak_anonymous_bytes");
  const char *slowest;
  char *text = list_times(times, &slowest);
  const json_t *longest = slowest ? json_object_get(times, slowest) : NULL;
  if (longest)
    esp_log_info("times: %s; %s took rank %.0f on %s longest, %.1f s; peak memory %.0f MiB, rank "
                 "%.0f on %s",
                 text, slowest, get(longest, "max_rank"), get_host(longest), get(longest, "max"),
                 get(memory, "max") / 0x1p20, get(memory, "max_rank"), get_host(memory));
  esp_free(&text);
}
