/* The calls that are watched. Each does the real thing and then keeps the books. */

/* ---- content ---- */

#define WRITE(name, parameters, arguments, position)                  \
  ssize_t name parameters {                                           \
    struct file *file = begin(fd);                                    \
    ssize_t result = REAL(name) arguments;                            \
    if (!file) return result;                                         \
    if (result > 0) wrote(file, fd, position, result);                \
    pthread_mutex_unlock(&lock);                                      \
    return result;                                                    \
  }

#define BEHIND (lseek(fd, 0, SEEK_CUR) - result)

WRITE(write, (int fd, const void *from, size_t n), (fd, from, n), BEHIND)
WRITE(writev, (int fd, const struct iovec *from, int n), (fd, from, n), BEHIND)
WRITE(pwrite, (int fd, const void *from, size_t n, off_t at), (fd, from, n, at), at)
WRITE(pwrite64, (int fd, const void *from, size_t n, off64_t at), (fd, from, n, at), at)
WRITE(pwritev, (int fd, const struct iovec *from, int n, off_t at), (fd, from, n, at), at)
WRITE(pwritev64, (int fd, const struct iovec *from, int n, off64_t at), (fd, from, n, at), at)

#define TRUNCATE(name, offset)                                        \
  int name(int fd, offset size) {                                     \
    struct file *file = begin(fd);                                    \
    int result = REAL(name)(fd, size);                                \
    if (!file) return result;                                         \
    if (!result) truncated(file, size);                               \
    pthread_mutex_unlock(&lock);                                      \
    return result;                                                    \
  }

TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

/* Syncs a directory if it is a watched one. */
static void synced_directory(int fd) {
  struct stat status;
  if (!root || fstat(fd, &status) || !S_ISDIR(status.st_mode)) return;
  char *path = path_of(fd);
  if (path && is_watched(path)) {
    pthread_mutex_lock(&lock);
    tick();
    sync_directory(path);
    pthread_mutex_unlock(&lock);
  }
  free(path);
}

#define SYNC(name)                                                    \
  int name(int fd) {                                                  \
    struct file *file = begin(fd);                                    \
    int result = root && no_sync ? 0 : REAL(name)(fd);                \
    if (!result && file) sync_file(file, fd);                         \
    if (file) pthread_mutex_unlock(&lock);                            \
    else if (!result) synced_directory(fd);                           \
    return result;                                                    \
  }

SYNC(fsync)
SYNC(fdatasync)

/* ---- opening ---- */

/* Only opening that may create or truncate matters: the rest is noticed when it is written. */
static int opened(int fd, int flags) {
  if (fd < 0 || !(flags & (O_CREAT | O_TRUNC))) return fd;
  struct file *file = begin(fd);
  if (!file) return fd;
  if (flags & O_TRUNC) truncated(file, 0);
  char *path = flags & O_CREAT ? path_of(fd) : NULL;
  if (path) renamed(path);
  free(path);
  pthread_mutex_unlock(&lock);
  return fd;
}

/* The mode is there when a file may be created. Reading it otherwise is harmless on this ABI, but it
 * is not passed on. */
#define MODE                                                          \
  mode_t mode = 0;                                                    \
  if (flags & (O_CREAT | O_TMPFILE)) {                                \
    va_list arguments;                                                \
    va_start(arguments, flags);                                       \
    mode = va_arg(arguments, mode_t);                                 \
    va_end(arguments);                                                \
  }

int open(const char *path, int flags, ...) {
  MODE
  return opened(REAL(open)(path, flags, mode), flags);
}

int open64(const char *path, int flags, ...) {
  MODE
  return opened(REAL(open64)(path, flags, mode), flags);
}

int openat(int at, const char *path, int flags, ...) {
  MODE
  return opened(REAL(openat)(at, path, flags, mode), flags);
}

int openat64(int at, const char *path, int flags, ...) {
  MODE
  return opened(REAL(openat64)(at, path, flags, mode), flags);
}

int creat(const char *path, mode_t mode) {
  return opened(REAL(creat)(path, mode), O_CREAT | O_TRUNC);
}

int creat64(const char *path, mode_t mode) {
  return opened(REAL(creat64)(path, mode), O_CREAT | O_TRUNC);
}

/* What the C library's checked headers call when there is no mode. */
int __open_2(const char *path, int flags) { return opened(REAL(open)(path, flags), flags); }
int __open64_2(const char *path, int flags) { return opened(REAL(open64)(path, flags), flags); }

/* ---- names ---- */

/* Begins an operation on a name, which may be absent. Returns its path, to be freed, and then the lock
 * is held; null when it is not watched. */
static char *begin_name(int at, const char *path, struct stat *status) {
  ready();
  if (!root) return NULL;
  const char *slash = strrchr(path, '/');
  char *parent = slash ? strndup(path, slash - path + 1) : strdup(".");
  int fd = REAL(openat)(at, parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
  free(parent);
  if (fd < 0) return NULL;
  char *directory = path_of(fd), *full = NULL;
  close(fd);
  if (directory && is_watched(directory))
    full = format("%s/%s", directory, slash ? slash + 1 : path);
  free(directory);
  if (!full) return NULL;
  pthread_mutex_lock(&lock);
  if (fstatat(at, path, status, AT_SYMLINK_NOFOLLOW)) memset(status, 0, sizeof *status);
  return full;
}

/* A name was taken from a file. Without names its inode number is free, its durable content is not. */
static void unnamed(const struct stat *before) {
  if (!S_ISREG(before->st_mode) || before->st_nlink > 1) return;
  struct file *file = record(before);
  char *data = format("%s/gone%lu.%d", meta, ++serial, getpid());
  if (REAL(rename)(file->data, data)) die("rename", file->data);
  free(file->data);
  file->data = data;
  file->gone = true;
}

static int do_unlink(int at, const char *path, int flags, int (*call)(int, const char *, int)) {
  struct stat before;
  char *full = begin_name(at, path, &before);
  if (!full) return call(at, path, flags);
  tick();
  int result = call(at, path, flags), error = errno;
  if (!result) {
    unnamed(&before);
    renamed(full);
  }
  free(full);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

int unlinkat(int at, const char *path, int flags) {
  return do_unlink(at, path, flags, REAL(unlinkat));
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int remove(const char *path) {
  int result = unlinkat(AT_FDCWD, path, 0);
  return result && errno == EISDIR ? unlinkat(AT_FDCWD, path, AT_REMOVEDIR) : result;
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
  struct stat replaced;
  char *full = begin_name(to_at, to, &replaced);
  if (!full) return REAL(renameat2)(from_at, from, to_at, to, flags);
  struct stat moved;
  tick();
  if (fstatat(from_at, from, &moved, AT_SYMLINK_NOFOLLOW)) memset(&moved, 0, sizeof moved);
  int result = REAL(renameat2)(from_at, from, to_at, to, flags), error = errno;
  if (!result) {
    if (!flags && replaced.st_ino != moved.st_ino) unnamed(&replaced);
    renamed(full);
  }
  free(full);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

int renameat(int from_at, const char *from, int to_at, const char *to) {
  return renameat2(from_at, from, to_at, to, 0);
}

int rename(const char *from, const char *to) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}
