/* Options of the command that makes token files. */
#ifndef ESPALIER_SRC_CLI_TOKENIZE_OPTIONS_H
#define ESPALIER_SRC_CLI_TOKENIZE_OPTIONS_H

#include "espalier/core/options.h"

typedef struct tokenize_options {
  bool decode; // tokens to text
} tokenize_options;
extern const esp_option_group tokenize_option_group;

#endif
