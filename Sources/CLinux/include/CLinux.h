// Linux calls that the Glibc module does not offer to Swift.
#ifndef REELFS_CLINUX_H
#define REELFS_CLINUX_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
// Swift's Glibc module and CCurl know fd_set as it is without _GNU_SOURCE; a target that imports this module as well must
// not meet a second definition with other member names.
#include <features.h>
#undef __USE_XOPEN
#include <sys/select.h>
#define __USE_XOPEN 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "files.h"
#include "processes.h"
#include "worker_state.h"
#endif
