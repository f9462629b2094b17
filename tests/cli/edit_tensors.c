/* Rewrite a safetensors file of BF16 weights: as F64, with more tensors, or with others' names.
 * usage: edit_tensors IN OUT [--f64] [--prefix TEXT] [NAME:DTYPE:BYTES ...]; added bytes are 0. */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *header;      // of the result
static unsigned char *data; // of the result
static size_t size;

static void fail(const char *what) {
  fprintf(stderr, "edit_tensors: %s\n", what);
  exit(1);
}

static void add(const char *name, const char *dtype, json_t *shape, size_t bytes) {
  data = realloc(data, size + bytes);
  if (bytes && !data) fail("no memory");
  memset(data + size, 0, bytes);
  json_object_set_new(header, name,
                      json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype, "shape", shape,
                                "data_offsets", (json_int_t)size, (json_int_t)(size + bytes)));
  size += bytes;
}

/* BF16 is the upper half of F32. */
static double widen(const unsigned char *from) {
  const uint32_t bits = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 24;
  float value;
  memcpy(&value, &bits, sizeof value);
  return (double)value;
}

static void copy(const char *name, json_t *info, const unsigned char *from, int widens) {
  const json_t *offsets = json_object_get(info, "data_offsets");
  const size_t begin = (size_t)json_integer_value(json_array_get(offsets, 0));
  const size_t bytes = (size_t)json_integer_value(json_array_get(offsets, 1)) - begin;
  if (strcmp(json_string_value(json_object_get(info, "dtype")), "BF16") != 0) fail("not BF16");
  add(name, widens ? "F64" : "BF16", json_incref(json_object_get(info, "shape")),
      widens ? 4 * bytes : bytes);
  if (!widens) memcpy(data + size - bytes, from + begin, bytes);
  for (size_t i = 0; widens && i < bytes / 2; i++) {
    const double wide = widen(from + begin + 2 * i);
    memcpy(data + size - 4 * bytes + sizeof wide * i, &wide, sizeof wide);
  }
}

static unsigned char *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END) != 0) fail(path);
  const long bytes = ftell(file);
  unsigned char *text = malloc((size_t)bytes);
  rewind(file);
  if (!text || fread(text, 1, (size_t)bytes, file) != (size_t)bytes) fail(path);
  fclose(file);
  return text;
}

static void write_file(const char *path) {
  FILE *file = fopen(path, "wb");
  char *text = json_dumps(header, JSON_COMPACT);
  const uint64_t length = text ? strlen(text) : 0;
  if (!file || !text || fwrite(&length, sizeof length, 1, file) != 1 ||
      fwrite(text, 1, length, file) != length || fwrite(data, 1, size, file) != size ||
      fclose(file) != 0)
    fail(path);
  free(text);
}

static int width_of(const char *dtype) {
  if (strcmp(dtype, "F64") == 0 || strcmp(dtype, "I64") == 0) return 8;
  return strcmp(dtype, "F32") == 0 ? 4 : 1;
}

static void add_described(char *what) {
  char *dtype = strchr(what, ':'), *bytes = dtype ? strchr(dtype + 1, ':') : NULL;
  if (!bytes) fail(what);
  *dtype = *bytes = '\0';
  const int count = atoi(bytes + 1);
  add(what, dtype + 1, json_pack("[i]", count / width_of(dtype + 1)), (size_t)count);
}

static void copy_all(const char *path, const char *prefix, int widens) {
  unsigned char *text = read_file(path);
  uint64_t length;
  const char *name;
  json_t *info;
  memcpy(&length, text, sizeof length);
  json_t *old = json_loadb((const char *)text + sizeof length, length, 0, NULL);
  json_object_foreach(old, name, info) {
    char full[512];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    if (strcmp(name, "__metadata__") != 0) copy(full, info, text + sizeof length + length, widens);
  }
  json_decref(old);
  free(text);
}

int main(int argc, char **argv) {
  int i = 3;
  const char *prefix = "";
  const int widens = argc > i && strcmp(argv[i], "--f64") == 0;
  if (argc < 3) fail("usage: edit_tensors IN OUT [--f64] [--prefix TEXT] [NAME:DTYPE:BYTES ...]");
  header = json_object();
  if (widens) i++;
  if (argc > i + 1 && strcmp(argv[i], "--prefix") == 0) prefix = argv[i + 1], i += 2;
  copy_all(argv[1], prefix, widens);
  for (; i < argc; i++) add_described(argv[i]);
  write_file(argv[2]);
  json_decref(header);
  free(data);
  return 0;
}
