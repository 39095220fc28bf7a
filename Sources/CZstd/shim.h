// libzstd for Swift.
#ifndef REELFS_CZSTD_H
#define REELFS_CZSTD_H
#include <zstd.h>
#include <zstd_errors.h>

// ZSTD_CONTENTSIZE_UNKNOWN and ..._ERROR are expressions that are not imported.
static inline unsigned long long czstd_content_size_unknown(void) { return ZSTD_CONTENTSIZE_UNKNOWN; }
static inline unsigned long long czstd_content_size_error(void) { return ZSTD_CONTENTSIZE_ERROR; }
#endif
