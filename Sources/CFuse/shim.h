// As CLinux.h does: otherwise the same system structs have different members in the two modules.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <fuse_opt.h>
#include <linux/fuse.h>
