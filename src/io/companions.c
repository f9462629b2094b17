#include "espalier/io/companions.h"

#include "espalier/core/memory.h"
#include "output.h"
#include "walk.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Folders in a module's folder. */
enum { MOST_DEPTH = 3 };

static const char *const files[] = {"tokenizer*",
                                    "special_tokens_map.json",
                                    "added_tokens.json",
                                    "chat_template*",
                                    "vocab*",
                                    "merges*",
                                    "*.model",
                                    "*.tiktoken",
                                    "*.spm",
                                    "generation_config.json",
                                    "*processor_config.json",
                                    "modules.json",
                                    "sentence_*_config.json",
                                    "config_*.json",
                                    "*.py",
                                    "README*",
                                    "LICEN[CS]E*",
                                    "NOTICE*",
                                    "COPYING*",
                                    "*USE_POLICY*",
                                    NULL};
/* Before the others: no weights, whatever they are called. */
static const char *const weights[] = {
    "*.safetensors", "*.bin", "*.pt",  "*.pth",     "*.ckpt",   "*.msgpack",    "*.h5", "*.gguf",
    "*.onnx",        "*.ot",  "*.npz", "*.mlmodel", "*.tflite", "*.index.json", NULL};
/* Written anew, so nobody misses them. */
static const char *const replaced[] = {"config.json", "*.safetensors", "*.safetensors.index.json",
                                       ".*", NULL};
/* Modules behind the transformer, which sentence-transformers numbers, and further templates. */
static const char *const folders[] = {"[1-9]_*", "additional_chat_templates", NULL};
static const char *const not_modules[] = {"*_Transformer", NULL};

static const char *const code[] = {"*.py", NULL};

typedef struct copy_job {
  const char *to;
  esp_companions *done;
  int depth; // 0: the model's own folder
} copy_job;

static void leave_out(copy_job *job, const char *name, const char *end) {
  char *before = job->done->left_out;
  job->done->left_out = esp_format("%s%s%s%s", before ? before : "", before ? ", " : "", name, end);
  esp_free(&before);
}

static bool is_wanted_folder(const copy_job *job, const char *name) {
  if (job->depth > 0) return job->depth < MOST_DEPTH;
  return walk_matches(folders, name) && !walk_matches(not_modules, name);
}

static bool is_wanted_file(const copy_job *job, const char *name) {
  return job->depth > 0 || (walk_matches(files, name) && !walk_matches(weights, name));
}

static esp_status copy_entry(const char *folder, const char *name, void *state);

static esp_status copy_folder(const copy_job *job, const char *path, const char *target) {
  copy_job inside = {target, job->done, job->depth + 1};
  if (mkdir(target, 0777) != 0)
    return esp_fail(ESP_IO, "cannot make the folder %s: %s", target, strerror(errno));
  const esp_status status = walk_folder(path, copy_entry, &inside);
  walk_flush(target);
  return status;
}

static esp_status copy_wanted(copy_job *job, const char *path, const char *name, bool is_folder) {
  char *target = esp_format("%s/%s", job->to, name);
  esp_status status;
  if (is_folder) {
    status = copy_folder(job, path, target);
  } else {
    status = walk_copy_file(path, target);
    job->done->copied++;
    job->done->code += walk_matches(code, name);
  }
  esp_free(&target);
  return status;
}

static esp_status copy_entry(const char *folder, const char *name, void *state) {
  copy_job *job = state;
  struct stat about;
  char *path = esp_format("%s/%s", folder, name);
  const bool exists = stat(path, &about) == 0; // a dangling link is no file
  const bool is_folder = exists && S_ISDIR(about.st_mode);
  const bool is_file = exists && S_ISREG(about.st_mode);
  esp_status status = ESP_OK;
  if ((is_folder && is_wanted_folder(job, name)) || (is_file && is_wanted_file(job, name)))
    status = copy_wanted(job, path, name, is_folder);
  else if (exists && !walk_matches(replaced, name))
    leave_out(job, name, is_folder ? "/" : "");
  esp_free(&path);
  return status;
}

esp_status esp_companions_copy(const esp_comm *comm, const char *from, const char *to,
                               esp_companions *done) {
  *done = (esp_companions){0};
  copy_job job = {.to = to, .done = done};
  esp_output_ignore_size_signal();
  const esp_status mine = comm->rank == 0 ? walk_folder(from, copy_entry, &job) : ESP_OK;
  const esp_status status = esp_agree(comm, mine);
  if (status == ESP_OK) esp_bcast(comm, &done->copied, sizeof done->copied, 0);
  if (status == ESP_OK) esp_bcast(comm, &done->code, sizeof done->code, 0);
  return status;
}

void esp_companions_clear(esp_companions *done) {
  esp_free(&done->left_out);
}
