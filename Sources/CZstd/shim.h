#ifndef WAYBILL_CZSTD_SHIM_H
#define WAYBILL_CZSTD_SHIM_H

#include <zstd.h>
#include <zstd_errors.h>

#endif
