/* Tables and page by analysis/gather.sh, which slurm/gather.sbatch calls too. */
#define _XOPEN_SOURCE 700 // realpath, readlink
#include "series_internal.h"

#include "espalier/core/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The folder that the program lies in, owned by the caller; NULL: not known. */
static char *find_own_folder(void) {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return NULL;
  path[length] = '\0';
  char *slash = strrchr(path, '/');
  if (slash) *slash = '\0';
  return esp_strdup(path);
}

static char *find_in(const char *folder, const char *way) {
  char *path = folder ? esp_format("%s/%s/analysis/gather.sh", folder, way) : NULL;
  if (path && access(path, R_OK) != 0) esp_free(&path);
  return path;
}

/* In the repository, as the job scripts are told it; as installed; where it was built. */
static char *find_script(void) {
  static const char *const ways[] = {"../share/espalier", "../..", ".."};
  char *script = find_in(getenv("ESPALIER_HOME"), ".");
  char *own = find_own_folder();
  for (unsigned i = 0; i < sizeof ways / sizeof *ways && !script; i++)
    script = find_in(own, ways[i]);
  esp_free(&own);
  return script;
}

/* Its own output is the table that is printed here already; stderr stays. */
static char *run(const char *script, const char *sweep, const char *folder) {
  char *const arguments[] = {(char *)(uintptr_t) "bash", (char *)(uintptr_t)script,
                             (char *)(uintptr_t)sweep, (char *)(uintptr_t)folder, NULL};
  posix_spawn_file_actions_t actions;
  pid_t child;
  int state = 0;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  const int code = posix_spawnp(&child, "bash", &actions, NULL, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (code != 0) return esp_format("bash does not start: %s", strerror(code));
  while (waitpid(child, &state, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(state) && WEXITSTATUS(state) == 0) return NULL;
  return esp_format("%s has failed: it needs Python (ESPALIER_PYTHON)", script);
}

static char *make_local(const series *self) {
  char *script = find_script();
  if (!script)
    return esp_strdup("analysis/gather.sh is not found beside the program; name the repository's "
                      "folder in ESPALIER_HOME");
  char *sweep = series_name_file(self, "", "sweep", ".txt");
  char *reason = run(script, sweep, self->folder);
  esp_free(&sweep);
  esp_free(&script);
  return reason;
}

char *series_make_tables(const series *self) {
  char *reason = self->comm->rank == 0 ? make_local(self) : NULL;
  esp_bcast_text(self->comm, &reason, 0);
  return reason;
}
