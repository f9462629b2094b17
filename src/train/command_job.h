/* A run of the commands `train` and `recover`: what it opens, for the training itself and for its
 * cost. */
#ifndef ESPALIER_SRC_TRAIN_COMMAND_JOB_H
#define ESPALIER_SRC_TRAIN_COMMAND_JOB_H

#include "espalier/io/journal.h"
#include "espalier/train/command.h"
#include "espalier/train/mask_tokens.h"

/* What a run of the command holds. */
typedef struct command_job {
  const esp_comm *comm;
  const esp_train_settings *settings;
  esp_train_purpose purpose;
  const char *path;          // NULL: a perceptron is made
  int ranks;                 // that it runs on, or is planned for
  bool is_planned;           // a new model gets no values
  esp_train_options options; // resolved
  esp_model *model, *teacher, *rewind;
  esp_dataset *data, *held_out;
  esp_mask_tokens tokens;
  esp_masking masking;
  bool is_masked;
  esp_policy_options policy; // resolved
  uint64_t fingerprint;      // of what was read
  esp_journal *journal;
  esp_phases phases;
} command_job;

/* A job of a command that runs on comm; nothing is open yet. Local. */
command_job command_job_make_local(const esp_comm *comm, const esp_train_settings *settings,
                                   esp_train_purpose purpose, const char *path);
/* Open data, model and teacher, resolve the options, and say which of them nothing reads. What
 * esp_train_command says. Collective on comm. */
esp_status command_job_open(command_job *job);
void command_job_clear(command_job *job);
/* USAGE: the teacher is the model itself, from which nothing is learned, but for labels that are
 * mixed in, or while it is pruned. Local. */
esp_status command_job_check_teacher_local(const command_job *job, bool is_own);
/* What is trained; checkpoint and early as esp_train_request has them. Local. */
esp_train_request command_job_request(const command_job *job, const char *checkpoint,
                                      const char *early);

#endif
