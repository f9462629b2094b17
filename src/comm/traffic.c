#include "espalier/comm/traffic.h"

const char *esp_collective_name(esp_collective kind) {
  static const char *const names[ESP_N_COLLECTIVES] = {
      [ESP_ALLREDUCE] = "allreduce", [ESP_IALLREDUCE] = "iallreduce",
      [ESP_BCAST] = "bcast",         [ESP_GATHER] = "gather",
      [ESP_EXCHANGE] = "exchange",   [ESP_REDUCE_SCATTER] = "reduce_scatter",
      [ESP_ALLGATHER] = "allgather", [ESP_AGREEMENT] = "agreement",
      [ESP_CONTROL] = "control"};
  return names[kind];
}
