#include "espalier/comm/traffic.h"

static struct { int64_t calls, bytes; } counted[ESP_N_COLLECTIVES];

const char *esp_collective_name(esp_collective kind) {
  static const char *const names[ESP_N_COLLECTIVES] = {
      [ESP_ALLREDUCE] = "allreduce", [ESP_IALLREDUCE] = "iallreduce",
      [ESP_BCAST] = "bcast",         [ESP_GATHER] = "gather",
      [ESP_EXCHANGE] = "exchange",   [ESP_AGREEMENT] = "agreement"};
  return names[kind];
}

void esp_traffic_add(const esp_comm *comm, esp_collective kind, int64_t bytes) {
  if (comm->size == 1) return;
  counted[kind].calls++;
  counted[kind].bytes += bytes;
}

json_t *esp_traffic_gather(const esp_comm *comm) {
  json_t *all = json_object();
  for (int i = 0; i < ESP_N_COLLECTIVES; i++) {
    const json_int_t calls = counted[i].calls;
    const esp_spread bytes = esp_compute_spread(comm, (double)counted[i].bytes);
    json_object_set_new(all, esp_collective_name((esp_collective)i),
                        json_pack("{s:I, s:I, s:I}", "calls", calls, "bytes",
                                  (json_int_t)(bytes.mean + 0.5), "bytes_max",
                                  (json_int_t)bytes.max));
  }
  return all;
}
