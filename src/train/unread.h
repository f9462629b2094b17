/* Options of a training that were given and that nothing reads. */
#ifndef ESPALIER_SRC_TRAIN_UNREAD_H
#define ESPALIER_SRC_TRAIN_UNREAD_H

#include "espalier/train/command.h"

/* What they would be read by. */
typedef struct unread_setting {
  const esp_train_settings *asked;
  const esp_train_options *resolved;
  esp_train_purpose purpose;   // a file may have options of other commands
  bool has_teacher, is_masked; // a masked model
  bool is_given;               // the model, or its configuration
} unread_setting;

/* A warning each. Local. */
void unread_warn(const unread_setting *self);

#endif
