/* Give a harness the files of folders, one after another, as libFuzzer would: for compilers and
 * builds without it. usage: HARNESS FOLDER... */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int give_file(const char *path) {
  static uint8_t bytes[1 << 20];
  struct stat about;
  if (stat(path, &about) != 0 || !S_ISREG(about.st_mode)) return 0;
  FILE *file = fopen(path, "rb");
  if (!file) abort();
  const size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  uint8_t *copy = malloc(
      size > 0 ? size : 1); // as large as it is, so that what lies behind it is no part of it
  if (!copy) abort();
  memcpy(copy, bytes, size);
  printf("%s\n", path);
  fflush(stdout);
  LLVMFuzzerTestOneInput(copy, size);
  free(copy);
  return 1;
}

static int give_folder(const char *folder) {
  int given = 0;
  DIR *list = opendir(folder);
  if (!list) return 0;
  for (struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    given += give_file(path);
  }
  closedir(list);
  return given;
}

int main(int argc, char **argv) {
  int given = 0;
  LLVMFuzzerInitialize(&argc, &argv);
  for (int i = 1; i < argc; i++) given += give_folder(argv[i]);
  printf("%d inputs\n", given);
  return given == 0;
}
