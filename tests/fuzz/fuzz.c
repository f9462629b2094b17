#include "fuzz.h"

#include "espalier/comm/handle.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_PATHS = 32, PATH_BYTES = 128 };

esp_comm fuzz_comm;
static char folder[64];

static void fail(const char *what) {
  fprintf(stderr, "fuzz: %s\n", what);
  abort();
}

const char *fuzz_path(const char *name) {
  static char paths[MOST_PATHS][PATH_BYTES], names[MOST_PATHS][PATH_BYTES];
  static int count;
  for (int i = 0; i < count; i++)
    if (strcmp(names[i], name) == 0) return paths[i];
  if (count == MOST_PATHS) fail("too many paths");
  snprintf(names[count], PATH_BYTES, "%s", name);
  snprintf(paths[count], PATH_BYTES, "%s/%s", folder, name);
  return paths[count++];
}

void fuzz_write(const char *name, const void *bytes, size_t count) {
  FILE *file = fopen(fuzz_path(name), "wb");
  if (!file || (count > 0 && fwrite(bytes, 1, count, file) != count) || fclose(file) != 0)
    fail("cannot write to the scratch folder");
}

void fuzz_make_folder(const char *name) {
  if (mkdir(fuzz_path(name), 0777) != 0) fail("cannot make a folder");
}

static void end(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  esp_comm_clear(&fuzz_comm);
  MPI_Finalize();
  if (system(command) != 0) fprintf(stderr, "cannot remove %s\n", folder);
}

/* Memory is the fastest place for small files. */
static void make_folder(void) {
  strcpy(folder, "/dev/shm/espalier-fuzz-XXXXXX");
  if (mkdtemp(folder)) return;
  strcpy(folder, "/tmp/espalier-fuzz-XXXXXX");
  if (!mkdtemp(folder)) fail("cannot make a scratch folder");
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
  setenv("OMPI_MCA_opal_signal", "", 0); // crashes are the sanitizers'
  setenv("OMPI_MCA_io", "romio321", 0);  // as the program
  MPI_Init(argc, argv);
  esp_comm_init(&fuzz_comm, MPI_COMM_WORLD);
  make_folder();
  atexit(end);
  fuzz_start();
  return 0;
}

static int is_one_line(const char *text) {
  const size_t length = strlen(text);
  for (size_t i = 0; i < length; i++)
    if (iscntrl((unsigned char)text[i])) return 0;
  return length > 0;
}

int fuzz_is_ok(esp_status status) {
  if (status == ESP_OK) return 1;
  if (status < ESP_OK || status >= ESP_INTERRUPTED) fail("an unexpected code");
  if (!is_one_line(esp_failure_text())) fail("a failure without one line of text");
  if (getenv("FUZZ_SAY")) fprintf(stderr, "%s\n", esp_failure_text());
  return 0;
}

int fuzz_succeeded(esp_status status, const void *result) {
  const int ok = fuzz_is_ok(status);
  if (ok != (result != NULL)) fail(ok ? "success without a result" : "a result of a failure");
  return ok;
}

void fuzz_touch(const void *bytes, int64_t count) {
  static volatile unsigned char sum;
  const unsigned char *from = bytes;
  for (int64_t i = 0; i < count; i++) sum = (unsigned char)(sum + from[i]);
}

uint8_t fuzz_take(fuzz_input *input) {
  if (input->size == 0) return 0;
  input->size--;
  return *input->data++;
}

const char *fuzz_take_text(fuzz_input *input, size_t count) {
  static char text[1 << 16];
  if (count > input->size) count = input->size;
  if (count > sizeof text - 1) count = sizeof text - 1;
  if (count > 0) memcpy(text, input->data, count);
  text[count] = 0;
  input->data += count;
  input->size -= count;
  return text;
}
