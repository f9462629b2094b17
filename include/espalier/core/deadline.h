/* A deadline for what may hang: cleaning up, inside of another library, after a failure. */
#ifndef ESPALIER_CORE_DEADLINE_H
#define ESPALIER_CORE_DEADLINE_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/status.h"

ESP_C_BEGIN

/* End the job as esp_end_job(code) does, with the text of the last failure as it is now, unless the
 * deadline is cleared within some 5 s, as every agreement of the ranks does (comm/comm.h); of
 * several ranks the lowest does it first. Uses SIGALRM. Local. */
void esp_deadline_set(esp_status code);
void esp_deadline_clear(void);

ESP_C_END

#endif
