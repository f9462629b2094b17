#include "mpi.h"
#include "scratch_folder.h"

#include "espalier/io/file.h"
#include "espalier/io/safetensors_write.h"
#include "espalier/io/tensors.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* More and fewer rows than ranks, an odd number of odd elements before wider ones, none, a scalar.
 */
static const esp_safetensors_entry entries[] = {
    {"b", ESP_BF16, 2, {7, 3}},     {"one", ESP_F16, 2, {1, 5}},  {"flag", ESP_U8, 1, {3}},
    {"w", ESP_F32, 2, {5, 4}},      {"none", ESP_F32, 2, {0, 4}}, {"scalar", ESP_F32, 0, {0}},
    {"long", ESP_I64, 3, {2, 1, 3}}};
enum { COUNT = ESP_COUNT(entries), MOST_BYTES = 80 };

static esp_safetensors_plan plan_of(int64_t max_shard_bytes) {
  return (esp_safetensors_plan){folder, entries, COUNT, max_shard_bytes, false};
}

static int64_t count_bytes(int tensor) {
  int64_t bytes = (int64_t)esp_dtype_bytes(entries[tensor].type);
  for (int d = 0; d < entries[tensor].rank; d++) bytes *= entries[tensor].shape[d];
  return bytes;
}

static unsigned char byte_of(int tensor, int64_t i) {
  return (unsigned char)(31 * tensor + i);
}

static esp_status write_tensor(esp_safetensors_writer *writer, int tensor) {
  unsigned char bytes[MOST_BYTES];
  const int64_t n_rows = entries[tensor].rank > 0 ? entries[tensor].shape[0] : 1;
  const int64_t row = n_rows > 0 ? count_bytes(tensor) / n_rows : 0;
  const esp_safetensors_rows mine = esp_safetensors_get_rows_local(writer, tensor);
  for (int64_t i = 0; i < mine.count * row; i++) bytes[i] = byte_of(tensor, mine.begin * row + i);
  return esp_safetensors_write(writer, tensor, mine.count > 0 ? bytes : NULL);
}

static esp_status write_plan(const esp_comm *comm, const esp_safetensors_plan *plan) {
  esp_safetensors_writer *writer;
  ESP_TRY(esp_safetensors_create(comm, plan, &writer));
  esp_status status = ESP_OK;
  for (int i = 0; i < COUNT && status == ESP_OK; i++) status = write_tensor(writer, i);
  if (status == ESP_OK) status = esp_safetensors_commit(&writer);
  esp_safetensors_close(&writer);
  return status;
}

static esp_status write_all(const esp_comm *comm, int64_t max_shard_bytes) {
  const esp_safetensors_plan plan = plan_of(max_shard_bytes);
  return write_plan(comm, &plan);
}

static esp_tensor_set *open_folder(void) {
  esp_tensor_set *set = NULL;
  char *path = esp_format("%s/config.json", folder);
  ASSERT_ALL(esp_file_write_text(&test_comm, path, "{}") == ESP_OK);
  ASSERT_ALL(esp_tensor_set_open(&test_comm, folder, &set) == ESP_OK);
  esp_free(&path);
  return set;
}

static bool holds_all(const esp_tensor_set *set) {
  bool good = set->n_tensors == COUNT;
  for (int t = 0; t < COUNT && good; t++) {
    const esp_tensor *tensor = esp_tensor_set_find(set, entries[t].name);
    good = tensor && tensor->type == entries[t].type && tensor->rank == entries[t].rank &&
           memcmp(tensor->shape, entries[t].shape, sizeof tensor->shape) == 0;
    for (int64_t i = 0; i < count_bytes(t) && good; i++)
      good = ((const unsigned char *)tensor->data)[i] == byte_of(t, i);
  }
  return good;
}

/* Files of the folder as rank 0 sees them. */
static int count_files(void) {
  char command[192];
  int count = -1;
  snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
  FILE *pipe = test_comm.rank == 0 ? popen(command, "r") : NULL;
  if (pipe && fscanf(pipe, "%d", &count) != 1) count = -1;
  if (pipe) pclose(pipe);
  esp_bcast(&test_comm, &count, sizeof count, 0);
  return count;
}

static void esp_safetensors_write_gives_what_is_read_back(void **state) {
  (void)state;
  make_folder("single");
  ASSERT_ALL(write_all(&test_comm, 0) == ESP_OK);
  ASSERT_ALL(count_files() == 1);
  esp_tensor_set *set = open_folder();
  ASSERT_ALL(set->n_files == 1 && holds_all(set) && !set->is_masked);
  esp_tensor_set_close(&set);
}

static void esp_safetensors_write_says_that_zeros_are_masked(void **state) {
  (void)state;
  make_folder("masked");
  esp_safetensors_plan plan = plan_of(60);
  plan.is_masked = true;
  ASSERT_ALL(write_plan(&test_comm, &plan) == ESP_OK);
  esp_tensor_set *set = open_folder();
  ASSERT_ALL(set->n_files == 3 && holds_all(set) && set->is_masked);
  esp_tensor_set_close(&set);
}

static void esp_safetensors_write_aligns_every_tensor(void **state) {
  (void)state;
  make_folder("aligned");
  ASSERT_ALL(write_all(&test_comm, 0) == ESP_OK);
  esp_tensor_set *set = open_folder();
  bool good = true;
  for (int i = 0; i < set->n_tensors; i++)
    good = good && set->tensors[i].offset % (int64_t)esp_dtype_bytes(set->tensors[i].type) == 0;
  ASSERT_ALL(good);
  esp_tensor_set_close(&set);
}

static void esp_safetensors_write_makes_shards_and_an_index(void **state) {
  (void)state;
  make_folder("sharded");
  ASSERT_ALL(write_all(&test_comm, 60) == ESP_OK);
  ASSERT_ALL(count_files() == 4);
  esp_tensor_set *set = open_folder();
  ASSERT_ALL(set->n_files == 3 && holds_all(set));
  const esp_tensor *b = esp_tensor_set_find(set, "b"), *one = esp_tensor_set_find(set, "one"),
                   *w = esp_tensor_set_find(set, "w"), *last = esp_tensor_set_find(set, "long");
  ASSERT_ALL(b->file == one->file); // 42 + 10 + 3 bytes; then 80, more than asked; then 4 + 48
  ASSERT_ALL(w->file != b->file && w->file != last->file && b->file != last->file);
  ASSERT_ALL(strstr(set->files[b->file], "/model-00001-of-00003.safetensors") != NULL);
  esp_tensor_set_close(&set);
}

static bool same_files(const char *a, const char *b, const char *name) {
  char *left, *right, *path = esp_format("%s/%s", a, name);
  int64_t left_bytes, right_bytes;
  ASSERT_ALL(esp_file_read(&test_comm, path, &left, &left_bytes) == ESP_OK);
  esp_free(&path);
  path = esp_format("%s/%s", b, name);
  ASSERT_ALL(esp_file_read(&test_comm, path, &right, &right_bytes) == ESP_OK);
  esp_free(&path);
  const bool same = left_bytes == right_bytes && memcmp(left, right, (size_t)left_bytes) == 0;
  esp_free(&left);
  esp_free(&right);
  return same;
}

static void esp_safetensors_write_gives_the_bytes_of_one_rank(void **state) {
  (void)state;
  esp_comm alone;
  char first[128];
  esp_comm_init_local(&alone);
  make_folder("together");
  strcpy(first, folder);
  ASSERT_ALL(write_all(&test_comm, 60) == ESP_OK);
  make_folder("alone");
  ASSERT_ALL(test_comm.rank != 0 || write_all(&alone, 60) == ESP_OK);
  ASSERT_ALL(same_files(first, folder, "model-00001-of-00003.safetensors"));
  ASSERT_ALL(same_files(first, folder, "model-00002-of-00003.safetensors"));
  ASSERT_ALL(same_files(first, folder, "model-00003-of-00003.safetensors"));
  ASSERT_ALL(same_files(first, folder, "model.safetensors.index.json"));
  esp_comm_clear(&alone);
}

static void esp_safetensors_create_says_what_it_laid_out(void **state) {
  (void)state;
  struct stat about;
  make_folder("counted");
  const esp_safetensors_plan plan = plan_of(0);
  esp_safetensors_writer *writer;
  ASSERT_ALL(esp_safetensors_create(&test_comm, &plan, &writer) == ESP_OK);
  char *path = esp_format("%s/model.safetensors.partial", folder);
  ASSERT_ALL(esp_safetensors_count_files_local(writer) == 1 && stat(path, &about) == 0);
  ASSERT_ALL(esp_safetensors_count_bytes_local(writer) == about.st_size);
  esp_free(&path);
  esp_safetensors_close(&writer);
}

static void esp_safetensors_close_leaves_nothing(void **state) {
  (void)state;
  make_folder("closed");
  const esp_safetensors_plan plan = plan_of(60);
  esp_safetensors_writer *writer;
  ASSERT_ALL(esp_safetensors_create(&test_comm, &plan, &writer) == ESP_OK);
  ASSERT_ALL(write_tensor(writer, 0) == ESP_OK && count_files() == 3);
  esp_safetensors_close(&writer);
  ASSERT_ALL(!writer && count_files() == 0);
}

static void esp_safetensors_commit_refuses_a_tensor_that_was_not_written(void **state) {
  (void)state;
  make_folder("unwritten");
  const esp_safetensors_plan plan = plan_of(0);
  esp_safetensors_writer *writer;
  ASSERT_ALL(esp_safetensors_create(&test_comm, &plan, &writer) == ESP_OK);
  for (int i = 0; i < COUNT - 1; i++) ASSERT_ALL(write_tensor(writer, i) == ESP_OK);
  ASSERT_ALL(esp_safetensors_commit(&writer) == ESP_MISMATCH && !writer);
  ASSERT_ALL(strstr(esp_failure_text(), "tensor 6 of 7 was not written") != NULL);
  ASSERT_ALL(count_files() == 0);
}

static void esp_safetensors_commit_fails_when_a_name_is_taken(void **state) {
  (void)state;
  make_folder("taken");
  char taken[192];
  snprintf(taken, sizeof taken, "%s/model-00003-of-00003.safetensors", folder);
  test_make_folder(taken);
  ASSERT_ALL(write_all(&test_comm, 60) == ESP_IO);
  ASSERT_ALL(strstr(esp_failure_text(), "model-00003-of-00003") && count_files() == 1);
}

static void check_not_created(const esp_safetensors_plan *plan, esp_status code, const char *part) {
  esp_safetensors_writer *writer;
  const esp_status status = esp_safetensors_create(&test_comm, plan, &writer);
  ASSERT_ALL(status == code && strstr(esp_failure_text(), part) && !writer);
}

static void esp_safetensors_create_refuses_names_twice_and_missing_folders(void **state) {
  (void)state;
  esp_safetensors_entry twice[] = {entries[0], entries[1], entries[0]};
  make_folder("refused");
  esp_safetensors_plan plan = {folder, twice, 3, 0, false};
  check_not_created(&plan, ESP_MISMATCH, "tensor b is to be written twice");
  plan = plan_of(0);
  plan.folder = "/no/such/folder";
  check_not_created(&plan, ESP_IO, "No such file");
  const esp_safetensors_entry huge[] = {{"h", ESP_F32, 2, {1LL << 40, 1LL << 40}}};
  plan = (esp_safetensors_plan){folder, huge, 1, 0, false};
  check_not_created(&plan, ESP_MISMATCH, "no file can hold");
  ASSERT_ALL(count_files() == 0);
}

static void esp_safetensors_create_fails_everywhere_when_one_rank_differs(void **state) {
  (void)state;
  make_folder("differs");
  for (int bad = 1; bad < test_comm.size; bad++) {
    esp_safetensors_plan plan = plan_of(0);
    if (test_comm.rank == bad) plan.count--;
    check_not_created(&plan, ESP_MISMATCH, "other tensors than rank 0");
  }
  ASSERT_ALL(count_files() == 0);
}

static void limit_file_size(int rank, rlim_t bytes) {
  struct rlimit limit;
  if (test_comm.rank != rank || getrlimit(RLIMIT_FSIZE, &limit) != 0) return;
  limit.rlim_cur = bytes;
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0) MPI_Abort(MPI_COMM_WORLD, 3);
}

static void esp_safetensors_create_fails_everywhere_when_one_rank_has_no_room(void **state) {
  (void)state;
  make_folder("room");
  const esp_safetensors_plan plan = plan_of(0);
  for (int bad = 0; bad < test_comm.size; bad++) {
    limit_file_size(bad, 100);
    check_not_created(&plan, ESP_IO, "limit on file sizes is 100");
    limit_file_size(bad, RLIM_INFINITY);
  }
  ASSERT_ALL(count_files() == 0);
}

static void esp_safetensors_write_fails_everywhere_when_one_rank_cannot(void **state) {
  (void)state;
  make_folder("cannot");
  const esp_safetensors_plan plan = plan_of(0);
  for (int bad = 0; bad < test_comm.size; bad++) {
    esp_safetensors_writer *writer;
    ASSERT_ALL(esp_safetensors_create(&test_comm, &plan, &writer) == ESP_OK);
    limit_file_size(bad, 100);
    const esp_status status = write_tensor(writer, 0); // 7 rows: every rank has some
    limit_file_size(bad, RLIM_INFINITY);
    ASSERT_ALL(status == ESP_IO && strstr(esp_failure_text(), "File too large"));
    esp_safetensors_close(&writer);
  }
  ASSERT_ALL(count_files() == 0);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_safetensors_write_gives_what_is_read_back),
              cmocka_unit_test(esp_safetensors_write_says_that_zeros_are_masked),
              cmocka_unit_test(esp_safetensors_write_aligns_every_tensor),
              cmocka_unit_test(esp_safetensors_write_makes_shards_and_an_index),
              cmocka_unit_test(esp_safetensors_write_gives_the_bytes_of_one_rank),
              cmocka_unit_test(esp_safetensors_create_says_what_it_laid_out),
              cmocka_unit_test(esp_safetensors_close_leaves_nothing),
              cmocka_unit_test(esp_safetensors_commit_refuses_a_tensor_that_was_not_written),
              cmocka_unit_test(esp_safetensors_commit_fails_when_a_name_is_taken),
              cmocka_unit_test(esp_safetensors_create_refuses_names_twice_and_missing_folders),
              cmocka_unit_test(esp_safetensors_create_fails_everywhere_when_one_rank_differs),
              cmocka_unit_test(esp_safetensors_create_fails_everywhere_when_one_rank_has_no_room),
              cmocka_unit_test(esp_safetensors_write_fails_everywhere_when_one_rank_cannot))
