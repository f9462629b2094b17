/* --max-parameters. */
#include "budgets.h"

static double get_asked(const esp_allocation_options *options) {
  return (double)options->max_parameters;
}

static double measure(const esp_prune_request *request, const esp_model *model) {
  (void)request;
  return (double)esp_model_count_parameters(model);
}

const esp_budget_kind budget_parameters = {
    .name = "max-parameters", .noun = "parameters", .get_asked = get_asked, .measure = measure};
