#include "commands.h"

#include "espalier/core/interrupt.h"
#include "espalier/pipeline/prune.h"

#include <inttypes.h>

static esp_status run(const command_input *input, json_t **result) {
  esp_interrupt_catch();
  ESP_TRY(esp_collect_command(input->comm, input->settings, input->arguments[0], result));
  print_result(input, "%s: %" PRId64 " samples, %" PRId64 " bins\n", input->settings->run.output,
               (int64_t)json_integer_value(json_object_get(*result, "samples")),
               input->settings->collect.bins);
  return ESP_OK;
}

const command command_collect = {.name = "collect",
                                 .usage = "collect MODEL --data PATH -o STATS.h5",
                                 .summary = "calibration pass: codes, moments, second moments",
                                 .bit = ESP_FOR_COLLECT,
                                 .least = 1,
                                 .most = 1,
                                 .run = run};
