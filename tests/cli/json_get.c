/* Print a value of a JSON file; fails where the file is not JSON or has no such value.
 * usage: json_get FILE KEY... (a number is an index into an array) */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const json_t *step(const json_t *at, const char *key) {
  return json_is_array(at) ? json_array_get(at, (size_t)atoi(key)) : json_object_get(at, key);
}

int main(int argc, char **argv) {
  json_error_t error;
  json_t *root = argc > 1 ? json_load_file(argv[1], 0, &error) : NULL;
  if (!root) return 1;
  const json_t *at = root;
  for (int i = 2; i < argc && at; i++) at = step(at, argv[i]);
  if (!at) return 1;
  if (json_is_string(at))
    puts(json_string_value(at));
  else if (json_dumpf(at, stdout, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(12)) == 0)
    putchar('\n');
  json_decref(root);
  return 0;
}
