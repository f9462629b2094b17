#include "diverged.h"

#include "policy.h"

#include "espalier/core/memory.h"

#include <inttypes.h>

/* A regulariser that is part of the gradient; the resolved options have its weight. */
static bool has_penalty(const training *self) {
  const policy *of = self->pruning.of;
  const esp_policy_options *options = self->pruning.options;
  if (!of || of->defaults.penalty <= 0.0 || options->penalty <= 0.0) return false;
  return !of->is_unread || !of->is_unread(options, "penalty");
}

esp_status diverged_fail(const training *self, int64_t step, const char *found) {
  const double rate = self->request->options->rate;
  char *penalty = has_penalty(self)
                      ? esp_format(" or --penalty (%g)", self->pruning.options->penalty)
                      : esp_strdup("");
  const esp_status status =
      esp_fail(ESP_NUMERIC,
               "training diverged in step %" PRId64 ": %s; lower --rate (%g)%s, or raise --warmup",
               step, found, rate, penalty);
  esp_free(&penalty);
  return status;
}

esp_status diverged_explain(const training *self, esp_status status, int64_t step,
                            const char *found) {
  return status == ESP_NUMERIC && step > 0 ? diverged_fail(self, step, found) : status;
}
