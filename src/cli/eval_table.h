/* The table of eval, which sweep prints too. */
#ifndef ESPALIER_SRC_CLI_EVAL_TABLE_H
#define ESPALIER_SRC_CLI_EVAL_TABLE_H

#include "commands.h"

#include "espalier/io/dataset.h"
#include "espalier/model/model.h"

/* What models are judged by, and on what. */
typedef struct eval_table {
  esp_task task; // of the first
  esp_data_kind kind;
  int64_t context; // tokens of a sequence
} eval_table;

/* Print rows (esp_eval_describe) of models that are judged as the first one is. Local. */
void eval_table_print(const command_input *input, const eval_table *self, const json_t *results);

#endif
