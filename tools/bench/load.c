// A load generator for gRPC and ttrpc: unary calls over a Unix socket or over TLS with a client
// certificate. Every answer is checked: :status 200, grpc-status 0, one whole message; or a ttrpc
// response without a status.
//
//     load (--unix PATH | --tcp HOST:PORT --tls CERT KEY CA) --path /SERVICE/METHOD --data FILE
//          [--ttrpc] [--connections N] [--streams N] [--requests N]
//
// With --requests 0 it holds the connections, and exits at the end of its input.
//
// FILE holds request messages, each with its gRPC prefix; they are sent in turn. When all
// connections are up it prints "ready" and waits for a line (or the end) on its input, so that the
// caller can read the server's CPU time without the handshakes. Then it prints one JSON object.
// Exits with 1 when any call failed.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/epoll.h>
#include <time.h>

#include "ttrpc.h"

struct call {
  uint64_t start;
  const uint8_t *request;
  size_t request_left;
  uint8_t prefix[5];
  uint32_t received; // prefix and message
  uint8_t http_ok, grpc_ok;
  struct call *next_free;
};

struct connection {
  struct wire wire;
  int up, waits_to_write;
  struct call *free_calls;
  // Of ttrpc: calls by half their stream's number, modulo the table's length.
  struct call **open;
  uint32_t next_stream;
};

enum { OPEN_CALLS = 1 << 12 }; // more than any connection has in flight

static int speaks_ttrpc;
static const char *path, *scheme = "http";
static const char *authorization; // a value of this metadata, of every call; NULL: none
static const uint8_t *data, *next_message;
static size_t data_length;
static uint64_t requests = 10000, issued, ok, failed;
static uint32_t shortest = UINT32_MAX, longest;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

// ---- Latencies: 64 buckets for each power of two of nanoseconds, so none is more than 1% off.

enum { BUCKETS = 64 * 59 };
static uint64_t histogram[BUCKETS], slowest;

static void record(uint64_t ns) {
  int exponent = ns < 128 ? 0 : 57 - __builtin_clzll(ns);
  histogram[exponent * 64 + (ns >> exponent)]++; // 0 to 127 as they are, then 64 to 127 each time
  if (ns > slowest) slowest = ns;
}

static double percentile(double share) {
  uint64_t wanted = share * ok, seen = 0;
  for (size_t i = 0; i < BUCKETS; i++) {
    if ((seen += histogram[i]) <= wanted) continue;
    int exponent = i < 128 ? 0 : i / 64 - 1;
    return (i - exponent * 64 + 0.5) * ((uint64_t)1 << exponent) / 1000;
  }
  return slowest / 1000.0;
}

// ---- Calls.

static ssize_t read_request(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *context) {
  (void)session, (void)stream, (void)context;
  struct call *c = source->ptr;
  size_t n = c->request_left < room ? c->request_left : room;
  memcpy(to, c->request, n);
  c->request += n;
  c->request_left -= n;
  if (c->request_left == 0) *flags = NGHTTP2_DATA_FLAG_EOF;
  return n;
}

// Keeps as many calls in flight as the connection may have, until all are issued.
static void issue(struct connection *to) {
  while (issued < requests && to->free_calls) {
    struct call *c = to->free_calls;
    to->free_calls = c->next_free;
    memset(c, 0, sizeof *c);
    c->start = now();
    c->request = next_message;
    c->request_left = 5 + big_endian(next_message + 1);
    next_message += c->request_left;
    if (next_message == data + data_length) next_message = data;
    issued++;
    if (speaks_ttrpc) {
      struct call **place;
      while (*(place = &to->open[to->next_stream / 2 % OPEN_CALLS])) to->next_stream += 2;
      *place = c;
      request_write(to->wire.frames, to->next_stream, 0, path, c->request + 5, c->request_left - 5);
      to->next_stream += 2;
      continue;
    }
    const nghttp2_nv headers[] = {
        NV(":method", "POST", 4), NV(":scheme", scheme, strlen(scheme)), NV(":path", path, strlen(path)),
        NV(":authority", "localhost", 9), NV("content-type", "application/grpc", 16),
        NV("te", "trailers", 8),
        NV("authorization", authorization, authorization ? strlen(authorization) : 0)};
    size_t fields = authorization ? 7 : 6;
    nghttp2_data_provider provider = {.source.ptr = c, .read_callback = read_request};
    if (nghttp2_submit_request(to->wire.session, NULL, headers, fields, &provider, c) < 0)
      die("request");
  }
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
                     void *context) {
  (void)flags, (void)context;
  struct call *c = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  if (name_length == 7 && memcmp(name, ":status", 7) == 0)
    c->http_ok = length == 3 && memcmp(value, "200", 3) == 0;
  else if (name_length == 11 && memcmp(name, "grpc-status", 11) == 0) {
    c->grpc_ok = length == 1 && *value == '0';
    if (!c->grpc_ok && failed == 0)
      fprintf(stderr, "first failure: grpc-status %.*s\n", (int)length, (const char *)value);
  }
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t length, void *context) {
  (void)flags, (void)context;
  struct call *c = nghttp2_session_get_stream_user_data(session, stream);
  for (size_t i = 0; i < length && c->received + i < 5; i++) c->prefix[c->received + i] = bytes[i];
  c->received += length;
  return 0;
}

// The acknowledgement of our SETTINGS: TLS and HTTP/2 are up in both directions.
static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  (void)session;
  if (frame->hd.type == NGHTTP2_SETTINGS && frame->hd.flags & NGHTTP2_FLAG_ACK)
    ((struct connection *)context)->up = 1;
  return 0;
}

static void ended(struct connection *of, struct call *c, int good, uint32_t message) {
  if (good) {
    ok++;
    record(now() - c->start);
    if (message < shortest) shortest = message;
    if (message > longest) longest = message;
  } else {
    failed++;
  }
  c->next_free = of->free_calls;
  of->free_calls = c;
  issue(of);
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *context) {
  struct connection *of = context;
  struct call *c = nghttp2_session_get_stream_user_data(session, stream);
  uint32_t message = big_endian(c->prefix + 1);
  ended(of, c,
        error == NGHTTP2_NO_ERROR && c->http_ok && c->grpc_ok && c->received >= 5 &&
            c->prefix[0] == 0 && message == c->received - 5,
        message);
  return 0;
}

static int on_ttrpc_frame(struct wire *w, uint32_t stream, int type, int flags,
                          const uint8_t *payload, size_t length) {
  (void)flags;
  struct connection *of = ((struct ttrpc *)w->frames)->owner;
  struct call **place = &of->open[stream / 2 % OPEN_CALLS], *c = *place;
  if (type != RESPONSE || !c) return -1;
  *place = NULL;
  const uint8_t *message = NULL;
  size_t message_length = 0;
  int good = response_read(payload, length, &message, &message_length);
  ended(of, c, good, message_length);
  return 0;
}

// ---- Connections.

static void attend(int epoll, struct connection *of, int readable) {
  int state = readable ? wire_read(&of->wire) : 0;
  if (state == 0) state = wire_write(&of->wire);
  if (state < 0) {
    errno = 0;
    die("the server closed a connection: reading or writing");
  }
  if (state == of->waits_to_write) return;
  of->waits_to_write = state;
  struct epoll_event event = {.events = EPOLLIN | (state ? EPOLLOUT : 0), .data.ptr = of};
  epoll_ctl(epoll, EPOLL_CTL_MOD, of->wire.fd, &event);
}

static void turn(int epoll) {
  struct epoll_event events[64];
  int n = epoll_wait(epoll, events, 64, -1);
  for (int i = 0; i < n; i++) attend(epoll, events[i].data.ptr, events[i].events & ~EPOLLOUT);
}

static void read_data(const char *file) {
  FILE *f = fopen(file, "rb");
  uint8_t *bytes = malloc(64 << 20);
  if (!f || !bytes) die(file);
  data_length = fread(bytes, 1, 64 << 20, f);
  fclose(f);
  size_t at = 0;
  while (at + 5 <= data_length) at += 5 + (size_t)big_endian(bytes + at + 1);
  if (data_length == 0 || at != data_length) errno = 0, die("--data: not gRPC messages: reading");
  data = next_message = bytes;
}

int main(int count, char **arguments) {
  int connections = 1, streams = 1;
  char *unix_path = NULL, *tcp = NULL, *file = NULL, **files = NULL;
  for (int i = 1; i < count; i++) {
    const char *a = arguments[i];
    int left = count - i - 1;
    if (!strcmp(a, "--unix") && left >= 1) unix_path = arguments[++i];
    else if (!strcmp(a, "--tcp") && left >= 1) tcp = arguments[++i];
    else if (!strcmp(a, "--tls") && left >= 3) files = &arguments[i + 1], i += 3;
    else if (!strcmp(a, "--path") && left >= 1) path = arguments[++i];
    else if (!strcmp(a, "--data") && left >= 1) file = arguments[++i];
    else if (!strcmp(a, "--authorization") && left >= 1) authorization = arguments[++i];
    else if (!strcmp(a, "--ttrpc")) speaks_ttrpc = 1;
    else if (!strcmp(a, "--connections") && left >= 1) connections = atoi(arguments[++i]);
    else if (!strcmp(a, "--streams") && left >= 1) streams = atoi(arguments[++i]);
    else if (!strcmp(a, "--requests") && left >= 1) requests = strtoull(arguments[++i], NULL, 10);
    else connections = 0; // shows the usage
  }
  if (!path || !file || (authorization && speaks_ttrpc) || !unix_path == !tcp || !tcp != !files || connections < 1 || streams < 1 ||
      streams > OPEN_CALLS / 2) {
    fprintf(stderr, "usage: load (--unix PATH | --tcp HOST:PORT --tls CERT KEY CA) --path PATH "
                    "--data FILE [--ttrpc | --authorization VALUE] [--connections N] [--streams N] [--requests N]\n");
    return 2;
  }
  read_data(file);

  SSL_CTX *tls = NULL;
  if (tcp) {
    scheme = "https";
    tls = tls_context(TLS_client_method(), files);
    if (speaks_ttrpc) SSL_CTX_set_alpn_protos(tls, (const uint8_t *)"\5ttrpc", 6);
    else SSL_CTX_set_alpn_protos(tls, (const uint8_t *)"\2h2", 3);
  }
  nghttp2_session_callbacks *callbacks;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);

  int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct connection *all = calloc(connections, sizeof *all);
  struct call *calls = calloc((size_t)connections * streams, sizeof *calls);
  if (!all || !calls) die("connections");
  for (int i = 0; i < connections; i++) {
    struct connection *one = &all[i];
    struct sockaddr_storage address = {0};
    socklen_t length;
    int fd = one->wire.fd = endpoint(unix_path, tcp, &address, &length);
    if (connect(fd, (struct sockaddr *)&address, length) != 0) die("connect");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    no_delay(fd);
    if (speaks_ttrpc) {
      wire_speak_ttrpc(&one->wire, one, on_ttrpc_frame);
      one->next_stream = 1;
      if (!(one->open = calloc(OPEN_CALLS, sizeof *one->open))) die("connection");
    } else if (wire_speak_h2_client(&one->wire, callbacks, one) != 0) {
      die("session");
    }
    if (tls) wire_tls(&one->wire, tls, 0);
    for (int s = 0; s < streams; s++) {
      struct call *c = &calls[(size_t)i * streams + s];
      c->next_free = one->free_calls;
      one->free_calls = c;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = one};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    attend(epoll, one, 0);
    // ttrpc says nothing by itself: without TLS a connection is up when it is there.
    while (speaks_ttrpc ? tls && !SSL_is_init_finished(one->wire.ssl) : !one->up) turn(epoll);
  }

  puts("ready");
  fflush(stdout);
  getchar();
  if (requests == 0) return 0;
  uint64_t start = now();
  for (int i = 0; i < connections; i++) {
    issue(&all[i]);
    attend(epoll, &all[i], 0);
  }
  while (ok + failed < requests) turn(epoll);
  double seconds = (now() - start) / 1e9;

  printf("{\"requests\": %llu, \"failed\": %llu, \"seconds\": %.6f, \"p50_us\": %.1f, "
         "\"p99_us\": %.1f, \"max_us\": %.1f, \"shortest\": %u, \"longest\": %u}\n",
         (unsigned long long)requests, (unsigned long long)failed, seconds, percentile(0.5),
         percentile(0.99), slowest / 1e3, ok ? shortest : 0, longest);
  return failed ? 1 : 0;
}
