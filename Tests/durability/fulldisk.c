// A file system without room, for one process: preloaded, it lets no regular file grow (ENOSPC) while the file
// named by FULLDISK_SWITCH is there. What is there already can be overwritten, as on a real one.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_full(int fd, off64_t end) {
  const char *name = getenv("FULLDISK_SWITCH");
  if (name == NULL || access(name, F_OK) != 0) return false;
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && end > status.st_size;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  static ssize_t (*original)(int, const void *, size_t, off64_t);
  if (original == NULL) original = dlsym(RTLD_NEXT, "pwrite64");
  if (is_full(fd, at + (off64_t)count)) {
    errno = ENOSPC;
    return -1;
  }
  return original(fd, bytes, count, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }

ssize_t write(int fd, const void *bytes, size_t count) {
  static ssize_t (*original)(int, const void *, size_t);
  if (original == NULL) original = dlsym(RTLD_NEXT, "write");
  off_t at = lseek(fd, 0, SEEK_CUR);
  if (at >= 0 && is_full(fd, at + (off_t)count)) {
    errno = ENOSPC;
    return -1;
  }
  return original(fd, bytes, count);
}
