#include "h5_internal.h"

#include "espalier/comm/handle.h"

/* Locking is off: output goes to a name of its own, and many parallel file systems have no locks.
 */
hid_t esp_h5_access_new_local(const esp_comm *comm) {
  const hid_t access_list = H5Pcreate(H5P_FILE_ACCESS);
  if (comm) H5Pset_fapl_mpio(access_list, esp_comm_get_handle_local(comm), MPI_INFO_NULL);
#if H5_VERSION_GE(1, 12, 1) || (H5_VERS_MINOR == 10 && H5_VERS_RELEASE >= 7)
  H5Pset_file_locking(access_list, false, true);
#endif
  return access_list;
}
