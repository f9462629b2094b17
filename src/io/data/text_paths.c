/* Which files a data set of text is made of. */
#include "dataset_format.h"
#include "text_documents.h"
#include "walk.h"

#include "espalier/core/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const char *const plain[] = {"*.txt", "*.txt.gz", NULL};
static const char *const json[] = {"*.jsonl", "*.jsonl.gz", NULL};

static bool is_text_name(const char *name) {
  return walk_matches(plain, name) || walk_matches(json, name);
}

bool text_name_is_json(const char *name) {
  return walk_matches(json, name);
}

/* The next item of a list with commas, whose length is given. */
static const char *find_end(const char *item) {
  const char *comma = strchr(item, ',');
  return comma ? comma : item + strlen(item);
}

/* Commas are in names too: only where every item is a name of text do they part a list. */
static bool is_list(const char *data) {
  if (!strchr(data, ',')) return false;
  for (const char *item = data;; item = find_end(item) + 1) {
    char *name = esp_format("%.*s", (int)(find_end(item) - item), item);
    const bool is_text = is_text_name(name);
    esp_free(&name);
    if (!is_text) return false;
    if (!*find_end(item)) return true;
  }
}

int esp_text_count_names(const char *data) {
  int count = 1;
  if (!is_list(data)) return 1;
  for (const char *c = data; *c; c++) count += *c == ',';
  return count;
}

char *esp_text_get_name(const char *data, int i) {
  if (!is_list(data)) return esp_strdup(data);
  for (; i > 0; i--) data = find_end(data) + 1;
  return esp_format("%.*s", (int)(find_end(data) - data), data);
}

static bool is_folder(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static void add_name(text_names *to, char *name) {
  char **names = ESP_NEW(char *, to->count + 1);
  for (int i = 0; i < to->count; i++) names[i] = to->name[i];
  esp_free(&to->name);
  to->name = names;
  to->name[to->count++] = name;
}

/* Hidden files are not the user's text. */
static esp_status add_entry(const char *folder, const char *name, void *state) {
  if (name[0] != '.' && is_text_name(name)) add_name(state, esp_format("%s/%s", folder, name));
  return ESP_OK;
}

/* A folder's files, or those of its folder that is called as the split. */
static esp_status list_folder(const char *folder, const char *split, text_names *names) {
  char *part = esp_format("%s/%s", folder, split);
  const esp_status status = walk_folder(is_folder(part) ? part : folder, add_entry, names);
  esp_free(&part);
  return status;
}

esp_status text_names_list(const char *data, const char *split, text_names *names) {
  if (is_folder(data)) {
    ESP_TRY(list_folder(data, split, names));
    if (names->count > 0) return ESP_OK;
    return esp_fail(ESP_IO, "%s: expected files *.txt or *.jsonl, plain or .gz, found none", data);
  }
  for (int i = 0; i < esp_text_count_names(data); i++) add_name(names, esp_text_get_name(data, i));
  return ESP_OK;
}

bool text_names_probe(const char *data) {
  text_names names = {0};
  if (esp_text_count_names(data) > 1 || (is_text_name(data) && !is_folder(data))) return true;
  if (!is_folder(data)) return false;
  const bool found = list_folder(data, "train", &names) == ESP_OK && names.count > 0;
  text_names_clear(&names);
  return found;
}

void text_names_clear(text_names *self) {
  for (int i = 0; i < self->count; i++) esp_free(&self->name[i]);
  esp_free(&self->name);
  self->count = 0;
}

static esp_status open_alone(const char *path, const char *split, esp_dataset *dataset) {
  (void)split;
  (void)dataset;
  return esp_fail(ESP_USAGE,
                  "%s is text, and there is no model whose tokenizer reads it; give token files "
                  "(espalier tokenize)",
                  path);
}

const esp_dataset_format esp_dataset_format_text = {
    "text", "files .txt or .jsonl, plain or .gz, or a folder of them", text_names_probe,
    open_alone};
