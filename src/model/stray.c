#include "stray.h"

#include "drawn.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/named.h"
#include "espalier/model/family.h"

#include <string.h>

/* What models compute anew when they are made, under the names that ended them in older versions
 * of transformers and in training frameworks. */
static const char *const buffers[] = {"rotary_emb.inv_freq",
                                      "rotary_emb.original_inv_freq",
                                      "rotary_emb.cos_cached",
                                      "rotary_emb.sin_cached",
                                      "attn.bias",
                                      "attn.masked_bias",
                                      "position_ids",
                                      "embeddings.token_type_ids",
                                      "num_batches_tracked"};
enum { BUFFER_COUNT = sizeof buffers / sizeof *buffers };

/* Whether the last parts of a dotted name are these. */
static bool ends_with_parts(const char *name, const char *parts) {
  const size_t length = strlen(name), end = strlen(parts);
  if (length < end || strcmp(name + length - end, parts) != 0) return false;
  return length == end || name[length - end - 1] == '.';
}

static bool is_known(const esp_model *model, const esp_tensor *tensor) {
  for (int i = 0; i < model->n_weights; i++)
    if (model->weights[i].stored == tensor->data) return true;
  for (int i = 0; i < BUFFER_COUNT; i++)
    if (ends_with_parts(tensor->name, buffers[i])) return true;
  if (drawn_is_part(model, tensor)) return true;
  return model->family->ignores && model->family->ignores(model, tensor->name);
}

static bool is_named(const char *name, const char *patterns) {
  return patterns && esp_name_matches(name, patterns);
}

typedef struct strays {
  const char *named, *other; // the first of each; NULL: none
  int n_named, n_others;
} strays;

static strays find(const esp_model *model, const char *patterns) {
  strays found = {0};
  for (int i = model->source->n_tensors - 1; i >= 0; i--) {
    const esp_tensor *tensor = &model->source->tensors[i];
    if (is_known(model, tensor)) continue;
    const bool named = is_named(tensor->name, patterns);
    *(named ? &found.named : &found.other) = tensor->name;
    *(named ? &found.n_named : &found.n_others) += 1;
  }
  return found;
}

/* A pruned model has lost what its checkpoint's patterns name. */
static void tell(const esp_model *model, const char *patterns, const strays *found) {
  if (found->named)
    esp_log_info("%s: %d tensors ignored by --ignore-tensors: '%s'%s", model->path, found->n_named,
                 found->named, found->n_named > 1 ? " and others" : "");
  else if (patterns && !model->details)
    esp_log_warn("%s: --ignore-tensors %s names no tensor that the model does without", model->path,
                 patterns);
}

esp_status stray_check_local(const esp_model *model, const char *patterns) {
  const strays found = find(model, patterns);
  if (!found.other) {
    tell(model, patterns, &found);
    return ESP_OK;
  }
  char *more =
      found.n_others > 1 ? esp_format(" (and %d more)", found.n_others - 1) : esp_strdup("");
  const esp_status status = esp_fail(
      ESP_MISMATCH,
      "%s: tensor '%s'%s has no place in family '%s' as configured; the checkpoint is of a variant "
      "that Espalier does not know, or name what can be done without: --ignore-tensors PATTERN,...",
      model->path, found.other, more, model->family->name);
  esp_free(&more);
  return status;
}
