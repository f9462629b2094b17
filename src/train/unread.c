#include "unread.h"

#include "policy.h"
#include "schedule.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <string.h>

/* An unknown name is refused elsewhere. */
static bool has_end(const char *name) {
  const schedule *found;
  return schedule_find(name, &found) != ESP_OK || found->has_end;
}

/* NULL: none, or an unknown one. */
static const policy *find_policy(const unread_setting *self) {
  const policy *of = NULL;
  return policy_find(self->asked->policy.policy, &of) == ESP_OK ? of : NULL;
}

static void warn_if(const unread_setting *self, const char *key, bool is_unread, const char *why) {
  const unsigned command = self->purpose == ESP_TRAIN_RECOVER ? ESP_FOR_RECOVER : ESP_FOR_TRAIN;
  if (!is_unread || !esp_options_is_given(self->asked->given, key, command)) return;
  char *flag = esp_option_format_flag(&(esp_option){.key = key});
  esp_log_warn("without effect: %s %s", flag, why);
  esp_free(&flag);
}

static void warn_of_teacher(const unread_setting *self) {
  const esp_train_options *asked = &self->asked->train;
  const bool is_left_out = self->has_teacher && asked->mix >= 1.0;
  const bool distils_masked = self->is_masked && self->has_teacher;
  warn_if(self, "train.mix", !self->has_teacher, "is for a teacher");
  warn_if(self, "train.temperature", !self->has_teacher, "is for a teacher");
  warn_if(self, "train.temperature", is_left_out, "at --mix 1, which leaves the teacher out");
  warn_if(self, "train.distil_at", !distils_masked, "is for masked models with a teacher");
  warn_if(self, "train.mask_token", !self->is_masked, "is for masked models");
  warn_if(self, "train.mask_rate", !self->is_masked, "is for masked models");
}

/* Scores are learned by Adam, whatever the weights follow. */
static void warn_of_optimizer(const unread_setting *self) {
  static const char *const of_weights[] = {"train.rate", "train.optimizer", "train.weight_decay",
                                           "train.clip"};
  const esp_train_options *asked = &self->asked->train;
  const policy *of = find_policy(self);
  const bool has_adam = strcmp(asked->optimizer, "sgd") != 0 || (of && of->learns_scores);
  for (unsigned i = 0; i < sizeof of_weights / sizeof *of_weights; i++)
    warn_if(self, of_weights[i], of && of->holds_all,
            "with a --policy under which no weight trains");
  warn_if(self, "train.beta2", !has_adam, "is for --optimizer adamw");
  warn_if(self, "train.final_rate", !has_end(asked->schedule),
          "is for --schedule cosine and linear");
}

void unread_warn(const unread_setting *self) {
  const esp_train_options *asked = &self->asked->train;
  const bool holds_out = asked->validation || self->resolved->hold_out > 0;
  warn_of_teacher(self);
  warn_of_optimizer(self);
  warn_if(self, "train.epochs", asked->steps > 0, "beside --steps");
  warn_if(self, "train.hold_out", asked->validation && asked->hold_out > 0, "beside --validation");
  warn_if(self, "train.patience", !holds_out && asked->patience != 0, "where nothing is held out");
  warn_if(self, "model.hidden", self->is_given, "is for a new perceptron");
  warn_if(self, "model.activation", self->is_given, "is for a new perceptron");
  if (self->purpose != ESP_TRAIN_RECOVER)
    policy_warn_unread(&self->asked->policy, self->asked->given);
}
