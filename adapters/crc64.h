/* CRC-64/XZ (ECMA-182, reflected): what OSS and COS tell of an object, and what our journals of uploads are checked with. */
#ifndef LULAB_ADAPTERS_CRC64_H
#define LULAB_ADAPTERS_CRC64_H

#include "base/slice.h"

/* Of what crc was of (0: nothing yet), followed by these bytes. Any thread. */
uint64_t crc64(uint64_t crc, struct slice bytes);

#endif
