#define _XOPEN_SOURCE 700 // realpath
#include "espalier/io/outputs.h"

#include "espalier/core/memory.h"
#include "output.h"
#include "walk.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folders below an input folder that are searched: those of a model are flat but for a few. */
enum { MOST_DEPTH = 3 };

/* What is read from a model or data folder, or belongs to it. Results may lie beside. */
static const char *const belongings[] = {"*.safetensors",
                                         "*.index.json",
                                         "*.bin",
                                         "*.pt",
                                         "*.pth",
                                         "*.msgpack",
                                         "*.gguf",
                                         "*.onnx",
                                         "*.model",
                                         "*.py",
                                         "*config*.json",
                                         "modules.json",
                                         "tf_model.h5",
                                         "tokenizer*",
                                         "special_tokens_map.json",
                                         "added_tokens.json",
                                         "chat_template*",
                                         "vocab*",
                                         "merges*",
                                         "README*",
                                         "LICENSE*",
                                         "NOTICE*",
                                         "calibration.h5",
                                         "heldout.h5",
                                         "*-ubyte",
                                         "*-ubyte.gz",
                                         NULL};

/* A name that is written: an output, or what is made beside one. */
typedef struct written {
  const esp_output *of;
  char *path; // owned
  char *end;  // what was added to the output's own name, owned
  bool exists;
  struct stat about; // where it exists
} written;

typedef struct written_list {
  written *rows; // owned
  int count;
} written_list;

static bool is_file(const char *path) {
  return path && strcmp(path, "-") != 0;
}

static void append(written_list *list, const esp_output *of, const char *end) {
  written *row = &list->rows[list->count++];
  size_t length = strlen(of->path);
  while (length > 1 && of->path[length - 1] == '/') length--;
  *row = (written){.of = of, .end = esp_strdup(end)};
  row->path = esp_format("%.*s%s", esp_int((int64_t)length), of->path, end);
  row->exists = stat(row->path, &row->about) == 0 &&
                (S_ISREG(row->about.st_mode) || S_ISDIR(row->about.st_mode));
}

static int count_names(const esp_output *output) {
  int count = 1;
  for (const char *const *end = output->beside; end && *end; end++) count++;
  return count;
}

static written_list list_written(const esp_files *files) {
  int most = 1;
  for (int i = 0; i < files->n_outputs; i++) most += count_names(&files->outputs[i]);
  written_list list = {ESP_NEW(written, most), 0};
  for (int i = 0; i < files->n_outputs; i++) {
    const esp_output *output = &files->outputs[i];
    if (!is_file(output->path)) continue;
    append(&list, output, "");
    for (const char *const *end = output->beside; end && *end; end++) append(&list, output, *end);
  }
  return list;
}

static void clear_written(written_list *list) {
  for (int i = 0; i < list->count; i++) {
    esp_free(&list->rows[i].path);
    esp_free(&list->rows[i].end);
  }
  esp_free(&list->rows);
}

static bool is_same(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static esp_status fail_input(const written *output, const char *option, const char *path) {
  if (*output->end)
    return esp_fail(ESP_IO,
                    "cannot write %s, which is made beside %s %s: it is the same file as %s, which "
                    "is read (%s); give another name",
                    output->path, output->of->option, output->of->path, path, option);
  return esp_fail(
      ESP_IO,
      "cannot write %s (%s): it is the same file as %s, which is read (%s); give another name",
      output->path, output->of->option, path, option);
}

static esp_status search_folder(const written *output, const esp_input *input, const char *folder,
                                int depth);

static esp_status search_entry(const written *output, const esp_input *input, const char *path,
                               const char *name, int depth) {
  struct stat about;
  if (stat(path, &about) != 0) return ESP_OK;
  if (S_ISDIR(about.st_mode) && depth < MOST_DEPTH)
    return search_folder(output, input, path, depth + 1);
  return walk_matches(belongings, name) && is_same(&about, &output->about)
             ? fail_input(output, input->option, path)
             : ESP_OK;
}

/* A folder that cannot be read fails when it is read as an input. */
static esp_status search_folder(const written *output, const esp_input *input, const char *folder,
                                int depth) {
  DIR *open_folder = opendir(folder);
  esp_status status = ESP_OK;
  if (!open_folder) return ESP_OK;
  for (struct dirent *entry; status == ESP_OK && (entry = readdir(open_folder));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    char *path = esp_format("%s/%s", folder, entry->d_name);
    status = search_entry(output, input, path, entry->d_name, depth);
    esp_free(&path);
  }
  closedir(open_folder);
  return status;
}

/* Whether a path lies in the folder that a name stands for: it is emptied before it is filled. */
static bool is_inside(const char *path, const struct stat *folder) {
  char *whole = realpath(path, NULL);
  bool found = false;
  for (char *slash; whole && !found && (slash = strrchr(whole, '/')) && slash > whole;) {
    struct stat about;
    *slash = 0;
    found = stat(whole, &about) == 0 && is_same(&about, folder);
  }
  free(whole);
  return found;
}

static esp_status check_pair(const written *output, const esp_input *input) {
  struct stat about;
  if (!output->exists || !input->path || stat(input->path, &about) != 0) return ESP_OK;
  if (is_same(&about, &output->about)) return fail_input(output, input->option, input->path);
  if (S_ISDIR(output->about.st_mode) && is_inside(input->path, &output->about))
    return esp_fail(ESP_IO,
                    "cannot write %s (%s): it holds %s, which is read (%s); give another name",
                    output->path, output->of->option, input->path, input->option);
  return S_ISDIR(about.st_mode) ? search_folder(output, input, input->path, 0) : ESP_OK;
}

static esp_status check_inputs(const written_list *list, const esp_files *files) {
  for (int i = 0; i < list->count; i++)
    for (int k = 0; k < files->n_inputs; k++)
      ESP_TRY(check_pair(&list->rows[i], &files->inputs[k]));
  return ESP_OK;
}

/* The folder's real path and the name, for files that are not there yet. */
static char *find_place(const char *path) {
  char *folder = esp_output_folder(path), *whole = realpath(folder, NULL);
  const char *slash = strrchr(path, '/');
  char *place = esp_format("%s/%s", whole ? whole : folder, slash ? slash + 1 : path);
  free(whole);
  esp_free(&folder);
  return place;
}

static bool are_same_file(const written *a, const written *b) {
  if (a->exists && b->exists) return is_same(&a->about, &b->about);
  char *first = find_place(a->path), *second = find_place(b->path);
  const bool same = strcmp(first, second) == 0;
  esp_free(&first);
  esp_free(&second);
  return same;
}

static esp_status check_outputs(const written_list *list) {
  for (int i = 0; i < list->count; i++)
    for (int k = i + 1; k < list->count; k++) {
      const written *a = &list->rows[i], *b = &list->rows[k];
      if (a->of == b->of || !are_same_file(a, b)) continue;
      return esp_fail(ESP_IO,
                      "cannot write %s: %s %s and %s %s would be written to this same file; give "
                      "different names",
                      b->path, a->of->option, a->of->path, b->of->option, b->of->path);
    }
  return ESP_OK;
}

/* Folders say how long a name may be; finding it out after hours of work would be late. */
static esp_status check_length(const written *output) {
  char *folder = esp_output_folder(output->path);
  const char *slash = strrchr(output->path, '/');
  const size_t length = strlen(slash ? slash + 1 : output->path);
  const long most = pathconf(folder, _PC_NAME_MAX);
  esp_free(&folder);
  if (most <= 0 || length <= (size_t)most) return ESP_OK;
  return esp_fail(ESP_IO,
                  "cannot write %s %.60s...: the name has %zu bytes%s%s, %ld are possible there; "
                  "give a shorter name",
                  output->of->option, output->of->path, length,
                  *output->end ? " with the ending " : "", output->end, most);
}

static esp_status check_lengths(const written_list *list) {
  for (int i = 0; i < list->count; i++) ESP_TRY(check_length(&list->rows[i]));
  return ESP_OK;
}

static esp_status check_local(const esp_files *files) {
  written_list list = list_written(files);
  esp_status status = check_lengths(&list);
  if (status == ESP_OK) status = check_inputs(&list, files);
  if (status == ESP_OK) status = check_outputs(&list);
  clear_written(&list);
  return status;
}

esp_status esp_outputs_check(const esp_comm *comm, const esp_files *files) {
  return esp_agree(comm, comm->rank == 0 ? check_local(files) : ESP_OK);
}

void esp_output_follow_links(const esp_comm *comm, char **path) {
  if (!is_file(*path)) return;
  char *target = comm->rank == 0 ? esp_output_target(*path) : NULL;
  esp_bcast_text(comm, &target, 0);
  esp_free(path);
  *path = target;
}
