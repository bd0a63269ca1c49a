/* Simulates the loss of power, for any dynamically linked program.
 *
 * Preloaded into a process, this library keeps a second directory in which only that is found which
 * the process made durable. Killed with SIGKILL, the process leaves there what a machine without power
 * would find on its disk at worst:
 *
 *   - the content of a file as of its last fsync or fdatasync, page by page of what was written;
 *   - the names in a directory as of the directory's last fsync.
 *
 * Settings, all from the environment:
 *
 *   POWERCUT_DIR     The directory to watch. What it holds at the start counts as durable.
 *   POWERCUT_SHADOW  Where to keep what is durable: a directory that is created, on the same file
 *                    system and outside of POWERCUT_DIR. Book-keeping goes to POWERCUT_SHADOW.meta.
 *   POWERCUT_TORN    A seed. Half of the pages written, of the truncations and of the changes of names,
 *                    chosen by it, become durable at once and in any order, as when the kernel happens
 *                    to write them back early.
 *   POWERCUT_AT      Kill the process just before its n-th watched operation (from 1).
 *   POWERCUT_NOSYNC  When set, the real fsync is left out: faster, and the shadow is the same.
 *
 * Not seen are writes through memory maps, stdio and asynchronous I/O, and syncs other than fsync and
 * fdatasync. They count as never durable: that may raise a false alarm but hides no loss. One process
 * may write at a time. Directories are not to be renamed.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, BUCKETS = 1024 };

/* A file of the watched directory. */
struct file {
  struct file *next;
  ino_t inode;
  bool gone;          /* it has no name any more: the inode number may be used again */
  char *data;         /* the file that holds its durable content */
  unsigned char *dirty; /* one byte per page written since the last sync */
  size_t pages;
  off_t cut;          /* the least size it was truncated to since the last sync, or -1 */
};

static struct file *files[BUCKETS];
static char *root, *shadow, *meta;
static dev_t device;
static bool torn, no_sync;
static uint64_t random_state;
static unsigned long operations, kill_at, serial;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- helpers ---- */

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
  void *symbol = dlsym(RTLD_NEXT, name);
  if (!symbol) abort();
  return symbol;
}

static void die(const char *what, const char *path) {
  dprintf(STDERR_FILENO, "powercut: %s %s: %s\n", what, path, strerror(errno));
  abort();
}

static char *format(const char *pattern, ...) {
  char *text;
  va_list arguments;
  va_start(arguments, pattern);
  if (vasprintf(&text, pattern, arguments) < 0) die("out of", "memory");
  va_end(arguments);
  return text;
}

static bool chance(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return random_state >> 63;
}

/* Every watched operation begins here. */
static void tick(void) {
  if (++operations == kill_at) kill(getpid(), SIGKILL);
}

static int open_real(const char *path, int flags) {
  return REAL(open)(path, flags | O_CLOEXEC, 0600);
}

/* The path of an open file, to be freed; null for one that is deleted or not a path. */
static char *path_of(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return NULL;
  path[length] = 0;
  return path[0] == '/' ? strdup(path) : NULL;
}

static bool is_watched(const char *path) {
  size_t length = strlen(root);
  return !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

/* ---- files ---- */

static struct file *find(ino_t inode) {
  struct file *file = files[inode % BUCKETS];
  while (file && file->inode != inode) file = file->next;
  return file;
}

static void mark(struct file *file, off_t start, off_t length) {
  size_t first = start / PAGE, end = (start + length + PAGE - 1) / PAGE;
  if (end > file->pages) {
    size_t pages = end * 2;
    if (!(file->dirty = realloc(file->dirty, pages))) die("out of", "memory");
    memset(file->dirty + file->pages, 0, pages - file->pages);
    file->pages = pages;
  }
  memset(file->dirty + first, 1, end - first);
}

/* The record of a file that is known to be watched. What was written before it was first seen counts
 * as not synced. */
static struct file *record(const struct stat *status) {
  struct file *file = find(status->st_ino);
  if (file && file->gone && status->st_nlink > 0) {
    file->inode = 0; /* a new file has got the number */
    file = NULL;
  }
  if (file) return file;
  if (!(file = calloc(1, sizeof *file))) die("out of", "memory");
  file->inode = status->st_ino;
  file->cut = -1;
  file->data = format("%s/%lu", meta, (unsigned long)status->st_ino);
  file->next = files[file->inode % BUCKETS];
  files[file->inode % BUCKETS] = file;
  if (access(file->data, F_OK)) {
    int data = open_real(file->data, O_WRONLY | O_CREAT);
    if (data < 0) die("create", file->data);
    close(data);
    mark(file, 0, status->st_size);
  }
  return file;
}

static void copy_page(int from, int to, size_t page) {
  char buffer[PAGE];
  ssize_t length = pread(from, buffer, PAGE, (off_t)page * PAGE);
  if (length < 0) die("read", "a watched file");
  if (length && REAL(pwrite)(to, buffer, length, (off_t)page * PAGE) != length) die("write", shadow);
}

static int open_again(int fd) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int again = open_real(path, O_RDONLY);
  if (again < 0) die("open", path);
  return again;
}

static int open_data(const struct file *file) {
  int data = open_real(file->data, O_WRONLY);
  if (data < 0) die("open", file->data);
  return data;
}

static void shrink(int data, off_t size) {
  struct stat status;
  if (fstat(data, &status)) die("stat", shadow);
  if (status.st_size > size && REAL(ftruncate)(data, size)) die("truncate", shadow);
}

/* Makes a file's content durable. */
static void sync_file(struct file *file, int fd) {
  struct stat status;
  int from = open_again(fd), data = open_data(file);
  if (file->cut >= 0) shrink(data, file->cut);
  for (size_t page = 0; page < file->pages; page++)
    if (file->dirty[page]) copy_page(from, data, page);
  if (fstat(from, &status) || REAL(ftruncate)(data, status.st_size)) die("truncate", file->data);
  if (file->dirty) memset(file->dirty, 0, file->pages);
  file->cut = -1;
  close(from);
  close(data);
}

static void wrote(struct file *file, int fd, off_t start, off_t length) {
  mark(file, start, length);
  if (!torn) return;
  int from = open_again(fd), data = open_data(file);
  for (off_t page = start / PAGE; page * PAGE < start + length; page++)
    if (chance()) copy_page(from, data, page);
  close(from);
  close(data);
}

static void truncated(struct file *file, off_t size) {
  if (file->cut < 0 || size < file->cut) file->cut = size;
  if (!torn || !chance()) return;
  int data = open_data(file);
  shrink(data, size);
  close(data);
}

/* ---- directories ---- */

/* Where a directory's durable names are kept, to be freed. One that has no durable name itself is kept
 * aside until it gets one. */
static char *shadow_of(const char *path, ino_t inode) {
  char *place = format("%s%s", shadow, path + strlen(root));
  if (!access(place, F_OK)) return place;
  free(place);
  place = format("%s/d%lu", meta, (unsigned long)inode);
  if (mkdir(place, 0700) && errno != EEXIST) die("create", place);
  return place;
}

static void make_name_durable(const char *path, const char *place) {
  struct stat live, durable;
  if (lstat(path, &live)) return;
  bool exists = !lstat(place, &durable);
  if (S_ISDIR(live.st_mode)) {
    if (exists) return;
    char *aside = format("%s/d%lu", meta, (unsigned long)live.st_ino);
    if (REAL(rename)(aside, place) && mkdir(place, 0700)) die("create", place);
    free(aside);
  } else if (S_ISREG(live.st_mode)) {
    struct file *file = record(&live);
    struct stat data;
    if (stat(file->data, &data)) die("stat", file->data);
    if (exists && durable.st_ino == data.st_ino) return;
    char *link_name = format("%s/link", meta);
    if (link(file->data, link_name)) die("link", file->data);
    if (REAL(rename)(link_name, place)) die("rename", place);
    free(link_name);
  }
}

/* Makes a directory's names those that it has now. */
static void sync_directory(const char *path) {
  struct stat status;
  if (stat(path, &status)) return;
  char *place = shadow_of(path, status.st_ino);
  const char *from[] = {path, place};
  for (int pass = 0; pass < 2; pass++) {
    DIR *directory = opendir(from[pass]);
    if (!directory) die("open", from[pass]);
    for (struct dirent *entry; (entry = readdir(directory));) {
      if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
      char *live = format("%s/%s", path, entry->d_name);
      char *durable = format("%s/%s", place, entry->d_name);
      if (pass == 0) {
        make_name_durable(live, durable);
      } else if (access(live, F_OK)) {
        char *trash = format("%s/trash%lu", meta, ++serial);
        if (REAL(rename)(durable, trash)) die("remove", durable);
        free(trash);
      }
      free(live);
      free(durable);
    }
    closedir(directory);
  }
  free(place);
}

/* After a change of a name. */
static void renamed(const char *path) {
  if (!torn || !chance()) return;
  char *copy = strdup(path), *slash = strrchr(copy, '/');
  *slash = 0;
  sync_directory(copy);
  free(copy);
}

/* ---- start ---- */

static void import(const char *path) {
  DIR *directory = opendir(path);
  if (!directory) die("open", path);
  sync_directory(path);
  for (struct dirent *entry; (entry = readdir(directory));) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    char *child = format("%s/%s", path, entry->d_name);
    struct stat status;
    if (lstat(child, &status)) die("stat", child);
    if (S_ISDIR(status.st_mode)) import(child);
    if (S_ISREG(status.st_mode)) {
      int fd = open_real(child, O_RDONLY);
      if (fd < 0) die("open", child);
      sync_file(record(&status), fd);
      close(fd);
    }
    free(child);
  }
  closedir(directory);
}

static void start(void) {
  const char *watched = getenv("POWERCUT_DIR"), *kept = getenv("POWERCUT_SHADOW");
  if (!watched || !kept) return;
  const char *seed = getenv("POWERCUT_TORN"), *at = getenv("POWERCUT_AT");
  struct stat status;
  char *path = realpath(watched, NULL);
  if (!path || stat(path, &status)) die("POWERCUT_DIR", watched);
  device = status.st_dev;
  torn = seed && *seed;
  random_state = seed ? strtoull(seed, NULL, 10) : 0;
  kill_at = at ? strtoul(at, NULL, 10) : 0;
  no_sync = getenv("POWERCUT_NOSYNC") != NULL;
  if (mkdir(kept, 0700) && errno != EEXIST) die("create", kept);
  if (!(shadow = realpath(kept, NULL))) die("POWERCUT_SHADOW", kept);
  meta = format("%s.meta", shadow);
  bool first = !mkdir(meta, 0700);
  if (!first && errno != EEXIST) die("create", meta);
  root = path;
  if (first) import(root); /* a later process finds the book-keeping of the one before */
}

/* Runs before the program does, or even before: other libraries' constructors may write. */
__attribute__((constructor)) static void ready(void) { pthread_once(&once, start); }

/* Begins an operation on an open file. Returns null for one that is not watched; otherwise the caller
 * holds the lock. Pipes and sockets never take it: they may block. */
static struct file *begin(int fd) {
  struct stat status;
  ready();
  if (!root || fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_dev != device) return NULL;
  pthread_mutex_lock(&lock);
  struct file *file = find(status.st_ino);
  if (!file || (file->gone && status.st_nlink)) {
    char *path = path_of(fd);
    file = path && is_watched(path) ? record(&status) : NULL;
    free(path);
  }
  if (file) tick();
  else pthread_mutex_unlock(&lock);
  return file;
}

#include "calls.h"
