/* How much of a large collective goes in one call. */
#ifndef ESPALIER_SRC_COMM_CHUNK_H
#define ESPALIER_SRC_COMM_CHUNK_H

enum { CHUNK = 1 << 24 }; // elements (or bytes): bounds what MPI allocates by the way

#endif
