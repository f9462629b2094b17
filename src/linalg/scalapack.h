/* Prototypes of the BLACS and ScaLAPACK routines in use; neither ships headers. A Fortran character
 * argument has its length as a hidden size_t at the end. */
#ifndef ESPALIER_LINALG_SCALAPACK_H
#define ESPALIER_LINALG_SCALAPACK_H

#include <mpi.h>
#include <stddef.h>

enum { ESP_DESCRIPTOR_LENGTH = 9 };

int Csys2blacs_handle(MPI_Comm comm);
void Cfree_blacs_system_handle(int handle);
void Cblacs_gridinit(int *context, const char *order, int grid_rows, int grid_cols);
void Cblacs_gridinfo(int context, int *grid_rows, int *grid_cols, int *my_row, int *my_col);
void Cblacs_gridexit(int context);

/* Number of rows (or columns) of n that the process at my_coordinate of n_processes holds. */
int numroc_(const int *n, const int *block, const int *my_coordinate, const int *first,
            const int *n_processes);
void descinit_(int *descriptor, const int *rows, const int *cols, const int *row_block,
               const int *col_block, const int *first_row, const int *first_col, const int *context,
               const int *local_rows, int *info);
void pdpotrf_(const char *triangle, const int *n, double *a, const int *row, const int *col,
              const int *descriptor, int *info, size_t triangle_length);
void pdpotrs_(const char *triangle, const int *n, const int *n_rhs, const double *a, const int *row,
              const int *col, const int *descriptor, double *b, const int *b_row, const int *b_col,
              const int *b_descriptor, int *info, size_t triangle_length);

#endif
