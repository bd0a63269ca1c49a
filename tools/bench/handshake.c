// Full mutual TLS 1.3 handshakes against a server, and what they cost it:
//
//     handshake ADDRESS CERT KEY CA [--count N] [--threads N] [--pid PID] [--resume]
//
// Each connection is new, offers h2, reads the first byte that the server sends after its handshake, and
// is closed. With --resume all but the first of each thread resume a session. Prints one JSON object;
// CPU times are of the process PID (schedstat: no ticks) and of this one.
#include <dirent.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *address, *certificate, *key, *authorities;
static int count = 2000, threads = 2;
static bool resume;

struct worker {
  pthread_t thread;
  SSL_CTX *context;
  SSL_SESSION *session; // The newest.
  int done, resumed;
};

static void fail(const char *what) {
  fprintf(stderr, "handshake: %s\n", what);
  ERR_print_errors_fp(stderr);
  exit(1);
}

static double seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

// CPU seconds of all threads of a process.
static double cpu_of(int pid) {
  char path[300];
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *tasks = opendir(path);
  if (!tasks) fail("no such process");
  double total = 0;
  for (struct dirent *task; (task = readdir(tasks));) {
    if (task->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, task->d_name);
    FILE *file = fopen(path, "r");
    unsigned long long nanoseconds;
    if (file && fscanf(file, "%llu", &nanoseconds) == 1) total += nanoseconds / 1e9;
    if (file) fclose(file);
  }
  closedir(tasks);
  return total;
}

static int keep(SSL *ssl, SSL_SESSION *session) {
  struct worker *worker = SSL_get_app_data(ssl);
  SSL_SESSION_free(worker->session);
  worker->session = session;
  return 1;
}

static SSL_CTX *make_context(void) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_load_verify_locations(context, authorities, NULL) != 1)
    fail("cannot use the certificate, key or CA");
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\2h2", 3);
  SSL_CTX_set1_groups_list(context, "X25519");
  SSL_CTX_set_session_cache_mode(
      context, resume ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF);
  SSL_CTX_sess_set_new_cb(context, keep);
  return context;
}

static void connect_once(struct worker *worker) {
  SSL *ssl = SSL_new(worker->context);
  SSL_set_app_data(ssl, worker);
  if (worker->session) SSL_set_session(ssl, worker->session);
  BIO *connection = BIO_new_connect(address);
  if (BIO_do_connect(connection) != 1) fail("cannot connect");
  SSL_set_bio(ssl, connection, connection);
  char byte;
  if (SSL_connect(ssl) != 1 || SSL_read(ssl, &byte, 1) != 1) fail("the handshake failed");
  worker->resumed += SSL_session_reused(ssl);
  SSL_shutdown(ssl);
  SSL_free(ssl);
}

static void *run(void *argument) {
  struct worker *worker = argument;
  for (int i = 0; i < count / threads; i++, worker->done++) connect_once(worker);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc < 5) fail("ADDRESS CERT KEY CA [--count N] [--threads N] [--pid PID] [--resume]");
  address = argv[1], certificate = argv[2], key = argv[3], authorities = argv[4];
  int pid = 0;
  for (int i = 5; i < argc; i++) {
    if (!strcmp(argv[i], "--resume")) resume = true;
    else if (i + 1 == argc) fail("an option lacks its value");
    else if (!strcmp(argv[i], "--count")) count = atoi(argv[++i]);
    else if (!strcmp(argv[i], "--threads")) threads = atoi(argv[++i]);
    else if (!strcmp(argv[i], "--pid")) pid = atoi(argv[++i]);
    else fail("unknown option");
  }
  if (threads < 1 || count < threads) fail("--threads, --count: at least one handshake for each thread");

  struct worker *workers = calloc(threads, sizeof *workers);
  for (int i = 0; i < threads; i++) workers[i].context = make_context();
  for (int i = 0; i < threads; i++) connect_once(&workers[i]); // Warm, and with a session.
  double server = pid ? cpu_of(pid) : 0;
  double own = seconds(CLOCK_PROCESS_CPUTIME_ID), start = seconds(CLOCK_MONOTONIC);
  int done = 0, resumed = 0;
  for (int i = 0; i < threads; i++) {
    workers[i].resumed = 0;
    pthread_create(&workers[i].thread, NULL, run, &workers[i]);
  }
  for (int i = 0; i < threads; i++) {
    pthread_join(workers[i].thread, NULL);
    done += workers[i].done, resumed += workers[i].resumed;
  }
  double time = seconds(CLOCK_MONOTONIC) - start;
  printf("{\"handshakes\": %d, \"resumed\": %d, \"per_second\": %.0f, \"client_cpu_us\": %.0f", done, resumed,
         done / time, (seconds(CLOCK_PROCESS_CPUTIME_ID) - own) / done * 1e6);
  if (pid) printf(", \"server_cpu_us\": %.0f", (cpu_of(pid) - server) / done * 1e6);
  printf("}\n");
}
