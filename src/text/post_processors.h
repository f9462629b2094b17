/* Post-processors: special tokens around the ids of a text. Each kind is a row of the table in
 * post_processors.c. */
#ifndef ESPALIER_SRC_TEXT_POST_PROCESSORS_H
#define ESPALIER_SRC_TEXT_POST_PROCESSORS_H

#include "json_fields.h"

#include "espalier/text/tokenizer.h"

/* Ids, and TEXT_HERE for those of the text. */
enum { TEXT_HERE = -1 };
typedef struct post_template {
  esp_token_ids items;
} post_template;

/* Templates, one around the other. */
typedef struct post_processor {
  post_template *templates; // (count), owned
  int count;
} post_processor;

/* ids that are not below n_ids are refused. */
esp_status post_processor_read(const json_place *of, int depth, int32_t n_ids,
                               post_processor *self);
/* Put special tokens around the ids from first on. */
void post_processor_apply(const post_processor *self, int64_t first, esp_token_ids *ids);
void post_processor_clear(post_processor *self);

#endif
