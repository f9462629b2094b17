#include "commands.h"

#include "espalier/collect/command.h"
#include "espalier/core/interrupt.h"

#include <inttypes.h>

static esp_status run(const command_input *input, json_t **result) {
  const esp_settings *all = input->settings;
  const esp_collect_settings settings = {all->run, all->data, all->collect, all->collect.width};
  esp_collect_result done;
  esp_interrupt_catch();
  ESP_TRY(esp_collect_command(input->comm, &settings, input->arguments[0], &done));
  print_result(input, "%s: %" PRId64 " samples, %" PRId64 " bins\n", all->run.output, done.samples,
               all->collect.bins);
  *result = json_pack("{s:s, s:I, s:I, s:i, s:o}", "output", all->run.output, "samples",
                      (json_int_t)done.samples, "bins", (json_int_t)all->collect.bins, "ranks",
                      input->comm->size, "run", done.run);
  return ESP_OK;
}

const command command_collect = {.name = "collect",
                                 .usage = "collect MODEL --data PATH -o STATS.h5",
                                 .summary = "calibration pass: codes, moments, second moments",
                                 .bit = ESP_FOR_COLLECT,
                                 .least = 1,
                                 .most = 1,
                                 .computes = true,
                                 .run = run};
