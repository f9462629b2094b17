#include "commands.h"

#include "espalier/core/interrupt.h"
#include "espalier/core/json.h"
#include "espalier/train/command.h"

#include <math.h>
#include <string.h>

static void print_curve(const command_input *input, const esp_train_report *report) {
  print_result(input, "%10s %14s %14s %12s\n", "step", "training loss", "held-out loss", "rate");
  for (int i = 0; i < report->n_points; i++) {
    const esp_train_point *at = &report->points[i];
    print_result(input, "%10lld", (long long)at->step);
    if (isfinite(at->loss))
      print_result(input, " %14.4f", at->loss);
    else
      print_result(input, " %14s", "-");
    if (isfinite(at->held_out))
      print_result(input, " %14.4f", at->held_out);
    else
      print_result(input, " %14s", "-");
    print_result(input, " %12.3g\n", at->rate);
  }
}

static void print_policy(const command_input *input, const esp_train_report *report) {
  if (!report->policy.name) return;
  print_result(input, "%s: %.2f %% of the prunable %s %s by %s%s\n", input->settings->run.output,
               100.0 * report->policy.sparsity, report->policy.by_units ? "units" : "weights",
               report->policy.is_frozen ? "are frozen" : "are gone", report->policy.name,
               report->policy.is_final ? "" : ", which has not reached its end");
}

static void print_report(const command_input *input, const esp_train_report *report) {
  const char *output = input->settings->run.output;
  const esp_train_point *last = &report->points[report->n_points - 1];
  print_curve(input, report);
  print_policy(input, report);
  if (!report->held_out_objective) {
    print_result(input, "%s: loss %.4f nats, training accuracy %.2f %%\n", output, last->loss,
                 100.0 * last->accuracy);
    return;
  }
  const double before = esp_train_report_find(report, 0)->held_out;
  const double after = esp_train_report_find(report, report->best_step)->held_out;
  if (report->best_step == 0)
    print_result(input, "%s: no step was clearly better on held-out data: the weights are %s\n",
                 output, report->policy.name ? "those that the policy began with" : "as they were");
  else
    print_result(input, "%s: held-out loss %.4f -> %.4f nats (step %lld of %lld)\n", output, before,
                 after, (long long)report->best_step, (long long)report->planned);
}

static esp_status run_purpose(const command_input *input, esp_train_purpose purpose,
                              const char *path, json_t **result) {
  const esp_train_settings settings = settings_of_train(input->settings);
  esp_train_result done;
  esp_interrupt_catch();
  ESP_TRY(esp_train_command(input->comm, &settings, purpose, path, &done));
  print_report(input, &done.report);
  *result = esp_train_report_dump(&done.report);
  json_object_set(*result, "run", done.run);
  json_object_set_new(*result, "output", esp_json_text(settings.run.output));
  esp_train_result_clear(&done);
  return ESP_OK;
}

/* A YAML file in front of the model is the configuration of options. */
static esp_status run_train(const command_input *input, json_t **result) {
  const int model = input->n_arguments > 0 && is_options_file(input->arguments[0]) ? 1 : 0;
  return run_purpose(input, ESP_TRAIN_GIVEN,
                     input->n_arguments > model ? input->arguments[model] : NULL, result);
}

static esp_status run_recover(const command_input *input, json_t **result) {
  return run_purpose(input, ESP_TRAIN_RECOVER, input->arguments[0], result);
}

static const char *const *list_beside(const esp_settings *settings) {
  static const char *const ends[] = {
      ".partial",          ".journal", ".checkpoint.h5", ".checkpoint.h5.partial", ".early.h5",
      ".early.h5.partial", NULL};
  (void)settings;
  return ends;
}

const command command_train = {.name = "train",
                               .usage = "train [OPTIONS.yaml] [MODEL] --data PATH -o OUT.h5",
                               .summary = "data-parallel training of a model, or of a new one",
                               .bit = ESP_FOR_TRAIN,
                               .least = 0,
                               .most = 2,
                               .config_is_argument = true,
                               .computes = true,
                               .list_beside = list_beside,
                               .run = run_train};

const command command_recover = {.name = "recover",
                                 .usage = "recover PRUNED.h5 --data PATH -o OUT.h5",
                                 .summary = "train after the cut, the dense model as teacher",
                                 .bit = ESP_FOR_RECOVER,
                                 .least = 1,
                                 .most = 1,
                                 .computes = true,
                                 .list_beside = list_beside,
                                 .run = run_recover};
