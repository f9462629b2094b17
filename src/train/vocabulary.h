/* What the tokens of data stand for, to a model and to its teacher. */
#ifndef ESPALIER_SRC_TRAIN_VOCABULARY_H
#define ESPALIER_SRC_TRAIN_VOCABULARY_H

#include "espalier/io/dataset.h"
#include "espalier/model/model.h"

/* MISMATCH: tokenizer.json of both is there (flow/text_samples.h), and a token of the data is
 * another one to the teacher. Nothing is known of other models, and their vocabularies are not
 * compared. Collective on comm; equal on all ranks. */
esp_status vocabulary_check_teacher(const esp_comm *comm, const esp_model *model,
                                    const esp_model *teacher, const esp_dataset *data);

#endif
