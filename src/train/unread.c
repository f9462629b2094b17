#include "unread.h"

#include "policy.h"
#include "schedule.h"

#include "espalier/core/log.h"

#include <string.h>

/* An unknown name is refused elsewhere. */
static bool has_end(const char *name) {
  const schedule *found;
  return schedule_find(name, &found) != ESP_OK || found->has_end;
}

void unread_warn(const unread_setting *self) {
  const esp_train_options *asked = &self->asked->train;
  const esp_network_options *network = &self->asked->network;
  const bool holds_out = asked->validation || self->resolved->hold_out > 0;
  const struct {
    bool is_unread;
    const char *text;
  } rules[] = {
      {!self->has_teacher && (asked->mix > 0.0 || asked->temperature != 1.0),
       "--mix and --temperature are for a teacher"},
      {(!self->is_masked || !self->has_teacher) && strcmp(asked->distil_at, "all") == 0,
       "--distil-at is for masked models with a teacher"},
      {self->has_teacher && asked->mix >= 1.0 && asked->temperature != 1.0,
       "--temperature at --mix 1, which leaves the teacher out"},
      {!self->is_masked && asked->mask_token >= 0, "--mask-token is for masked models"},
      {!self->is_masked && asked->mask_rate != 0.15, "--mask-rate is for masked models"},
      {asked->beta2 != 0.999 && strcmp(asked->optimizer, "sgd") == 0,
       "--beta2 is for --optimizer adamw"},
      {asked->final_rate > 0.0 && !has_end(asked->schedule),
       "--final-rate is for --schedule cosine and linear"},
      {asked->steps > 0 && asked->epochs > 0, "--epochs beside --steps"},
      {asked->validation && asked->hold_out > 0, "--hold-out beside --validation"},
      {!holds_out && asked->patience > 0, "--patience where nothing is held out"},
      {self->is_given &&
           (strcmp(network->hidden, "512,256") != 0 || strcmp(network->activation, "relu") != 0),
       "--hidden and --activation are for a new perceptron"},
  };
  for (unsigned i = 0; i < sizeof rules / sizeof *rules; i++)
    if (rules[i].is_unread) esp_log_warn("without effect: %s", rules[i].text);
  policy_warn_unread(&self->asked->policy);
}
