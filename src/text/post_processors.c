#include "post_processors.h"

#include "espalier/core/memory.h"

typedef struct reading {
  int32_t n_ids;
  int depth;
  post_processor *to;
} reading;

typedef struct post_kind {
  const char *name;
  esp_status (*read)(const json_place *of, const reading *into);
} post_kind;

static esp_status read_sequence(const json_place *of, const reading *into);
static esp_status read_template(const json_place *of, const reading *into);
static esp_status read_pair(const json_place *of, const reading *into);
static esp_status read_nothing(const json_place *of, const reading *into);

static const post_kind post_sequence = {"Sequence", read_sequence},
                       post_template_kind = {"TemplateProcessing", read_template},
                       post_bert = {"BertProcessing", read_pair},
                       post_roberta = {"RobertaProcessing", read_pair},
                       post_byte_level = {"ByteLevel", read_nothing}; // offsets alone
static const post_kind *const kinds[] = {&post_sequence, &post_template_kind, &post_bert,
                                         &post_roberta,  &post_byte_level,    NULL};

/* A new template, empty. */
static esp_token_ids *add_template(post_processor *self) {
  post_template *templates = ESP_NEW(post_template, self->count + 1);
  for (int i = 0; i < self->count; i++) templates[i] = self->templates[i];
  esp_free(&self->templates);
  self->templates = templates;
  return &self->templates[self->count++].items;
}

static esp_status add_id(const json_place *of, const json_t *id, int32_t n_ids, esp_token_ids *to) {
  if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= n_ids)
    return esp_fail(ESP_FORMAT, "%s: ids from 0 to %d are expected, found %s; repair the file",
                    of->name, (int)n_ids - 1, json_is_integer(id) ? "another" : "no integer");
  esp_token_ids_add(to, (int32_t)json_integer_value(id));
  return ESP_OK;
}

static esp_status read_nothing(const json_place *of, const reading *into) {
  (void)of;
  (void)into;
  return ESP_OK;
}

static esp_status fail_template(const json_place *of, const char *what) {
  return esp_fail(
      ESP_FORMAT,
      "%s: 'single' is expected to be of special tokens and of the sequence A, of type 0, "
      "found %s; this is not supported",
      of->name, what);
}

/* {"SpecialToken": {"id": "[CLS]", "type_id": 0}}: its ids are in special_tokens. */
static esp_status read_special(const json_place *of, const json_t *piece, const reading *into,
                               esp_token_ids *to) {
  span name = {NULL, 0};
  const json_place inside = {of->name, piece};
  ESP_TRY(field_text(&inside, "id", &name));
  const json_t *all = json_object_get(of->object, "special_tokens");
  const json_t *ids = json_object_get(json_object_get(all, name.bytes), "ids");
  if (!json_is_array(ids)) return fail_template(of, "a special token without ids");
  for (size_t i = 0; i < json_array_size(ids); i++)
    ESP_TRY(add_id(of, json_array_get(ids, i), into->n_ids, to));
  return ESP_OK;
}

static esp_status read_piece(const json_place *of, const json_t *item, const reading *into,
                             esp_token_ids *to) {
  const json_t *special = json_object_get(item, "SpecialToken"),
               *sequence = json_object_get(item, "Sequence"), *piece = special ? special : sequence;
  int64_t type;
  span name = {NULL, 0};
  const json_place inside = {of->name, piece};
  if (!json_is_object(piece)) return fail_template(of, "something else");
  ESP_TRY(field_integer(&inside, "type_id", (field_range){0, INT32_MAX, 0}, &type));
  if (type != 0) return fail_template(of, "another type");
  if (special) return read_special(of, special, into, to);
  ESP_TRY(field_text(&inside, "id", &name));
  if (!span_equals(name, span_of("A"))) return fail_template(of, "a sequence of another name");
  esp_token_ids_add(to, TEXT_HERE);
  return ESP_OK;
}

static esp_status read_template(const json_place *of, const reading *into) {
  const json_t *single;
  ESP_TRY(field_array(of, "single", &single));
  esp_token_ids *to = add_template(into->to);
  if (json_array_size(single) > 64) return fail_template(of, "more than 64 pieces");
  for (size_t i = 0; i < json_array_size(single); i++)
    ESP_TRY(read_piece(of, json_array_get(single, i), into, to));
  return ESP_OK;
}

/* {"sep": ["[SEP]", 102], "cls": ["[CLS]", 101]} */
static esp_status read_pair(const json_place *of, const reading *into) {
  const json_t *sep, *cls;
  ESP_TRY(field_array(of, "sep", &sep));
  ESP_TRY(field_array(of, "cls", &cls));
  esp_token_ids *to = add_template(into->to);
  ESP_TRY(add_id(of, json_array_get(cls, 1), into->n_ids, to));
  esp_token_ids_add(to, TEXT_HERE);
  return add_id(of, json_array_get(sep, 1), into->n_ids, to);
}

static esp_status read_sequence(const json_place *of, const reading *into) {
  const json_t *items;
  ESP_TRY(field_array(of, "processors", &items));
  if (json_array_size(items) > 16)
    return esp_fail(ESP_FORMAT, "%s: at most 16 processors are expected", of->name);
  for (size_t i = 0; i < json_array_size(items); i++) {
    const json_place inside = {of->name, json_array_get(items, i)};
    ESP_TRY(post_processor_read(&inside, into->depth + 1, into->n_ids, into->to));
  }
  return ESP_OK;
}

esp_status post_processor_read(const json_place *of, int depth, int32_t n_ids,
                               post_processor *self) {
  int i;
  enum { MOST_NESTED = 3, MOST_TEMPLATES = 16 };
  ESP_TRY(check_depth(of, depth + MOST_DEPTH - MOST_NESTED));
  ESP_TRY(field_kind(of, "post-processor", kinds, &i));
  if (self->count >= MOST_TEMPLATES)
    return esp_fail(ESP_FORMAT, "%s: at most %d templates are expected", of->name,
                    (int)MOST_TEMPLATES);
  const reading into = {n_ids, depth, self};
  return kinds[i]->read(of, &into);
}

/* The text may stand in a template several times, as in the reference. */
static void apply_template(const post_template *of, int64_t first, esp_token_ids *ids) {
  const int64_t count = ids->count - first;
  int32_t *text = ESP_NEW(int32_t, count);
  for (int64_t i = 0; i < count; i++) text[i] = ids->id[first + i];
  ids->count = first;
  for (int64_t k = 0; k < of->items.count; k++) {
    if (of->items.id[k] != TEXT_HERE) esp_token_ids_add(ids, of->items.id[k]);
    for (int64_t i = 0; i < count && of->items.id[k] == TEXT_HERE; i++)
      esp_token_ids_add(ids, text[i]);
  }
  esp_free(&text);
}

void post_processor_apply(const post_processor *self, int64_t first, esp_token_ids *ids) {
  for (int i = 0; i < self->count; i++) apply_template(&self->templates[i], first, ids);
}

void post_processor_clear(post_processor *self) {
  for (int i = 0; i < self->count; i++) esp_token_ids_clear(&self->templates[i].items);
  esp_free(&self->templates);
  *self = (post_processor){0};
}
