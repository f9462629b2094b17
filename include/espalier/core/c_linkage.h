/* What a header declares has C linkage, in programs in C++ too. */
#ifndef ESPALIER_CORE_C_LINKAGE_H
#define ESPALIER_CORE_C_LINKAGE_H

#ifdef __cplusplus
#define ESP_C_BEGIN extern "C" {
#define ESP_C_END }
#else
#define ESP_C_BEGIN
#define ESP_C_END
#endif

#endif
