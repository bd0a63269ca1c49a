// A load generator for streams, over gRPC or ttrpc: SumStream (client), DivideStream (server) and
// EchoStream (bidi) of ttrpc.integration.streaming.Streaming, with small messages. Every answer is
// checked.
//
//     streams (--unix PATH | --tcp HOST:PORT --tls CERT KEY CA) --kind client|server|bidi [--ttrpc]
//             [--connections N] [--messages N]
//
// Each connection carries one call at a time with so many messages. When all connections are up it
// prints "ready" and waits for a line (or the end) on its input; then it prints one JSON object. Exits
// with 1 when any call failed.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/epoll.h>
#include <time.h>

#include "ttrpc.h"

enum { AHEAD = 1000 }; // messages of EchoStream that may be on their way

static enum { CLIENT, SERVER, BIDI } kind;
static const char *const paths[] = {"/ttrpc.integration.streaming.Streaming/SumStream",
                                    "/ttrpc.integration.streaming.Streaming/DivideStream",
                                    "/ttrpc.integration.streaming.Streaming/EchoStream"};
static const char *scheme = "http";
static int speaks_ttrpc, done, failed;
static uint32_t messages = 1000000;

struct connection {
  struct wire wire;
  int up, waits_to_write, is_over, deferred, good;
  uint32_t sent, received;
  int32_t stream;
  uint8_t message[64]; // of gRPC: being sent
  size_t length, gone;
  uint8_t partial[64]; // of gRPC: one that is not whole
  size_t held;
};

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

// ---- Messages, whatever carries them.

// Part{add: 1}, Sum{sum: N, num: N}, EchoPayload{seq, msg: "x"}; returns the length.
static size_t make_message(uint32_t number, uint8_t *to) {
  uint8_t *at = to;
  *at++ = 1 << 3;
  at = put_varint(at, kind == CLIENT ? 1 : kind == SERVER ? messages : number + 1);
  if (kind == SERVER) *at++ = 2 << 3, at = put_varint(at, messages);
  if (kind == BIDI) at = put_field(at, 2, "x", 1);
  return at - to;
}

// Whether there is another one to send now.
static int may_send(const struct connection *c) {
  if (kind == SERVER) return c->sent < 1;
  return c->sent < messages && (kind == CLIENT || c->sent - c->received < AHEAD);
}

static int has_sent_all(const struct connection *c) {
  return c->sent >= (kind == SERVER ? 1 : messages);
}

// The fields 1 and 2, if they are numbers.
static int read_numbers(const uint8_t *at, size_t length, uint64_t numbers[3]) {
  const uint8_t *end = at + length;
  numbers[1] = numbers[2] = 0;
  while (at < end) {
    uint64_t key, value;
    if (!(at = get_varint(at, end, &key)) || !(at = get_varint(at, end, &value))) return 0;
    if ((key & 7) == 2) {
      if (value > (size_t)(end - at)) return 0;
      at += value;
    } else if (key >> 3 < 3) {
      numbers[key >> 3] = value;
    }
  }
  return 1;
}

static int take_message(struct connection *c, const uint8_t *message, size_t length) {
  uint64_t numbers[3];
  c->received++;
  if (!read_numbers(message, length, numbers)) return -1;
  switch (kind) {
  case CLIENT: return numbers[1] == messages && numbers[2] == messages ? 0 : -1;
  case SERVER: return numbers[1] == 1 ? 0 : -1;
  default: return numbers[1] == c->received + 1 ? 0 : -1;
  }
}

static void end_call(struct connection *c, int good) {
  if (c->is_over) return;
  c->is_over = 1;
  done++;
  if (!good || c->received != (kind == CLIENT ? 1 : messages)) failed++;
}

// ---- gRPC.

static ssize_t read_messages(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                             uint32_t *flags, nghttp2_data_source *source, void *context) {
  (void)session, (void)stream, (void)context;
  struct connection *c = source->ptr;
  size_t n = 0;
  for (;;) {
    size_t left = c->length - c->gone;
    if (left > room - n) left = room - n;
    memcpy(to + n, c->message + c->gone, left);
    n += left;
    c->gone += left;
    if (c->gone < c->length) return n;
    if (has_sent_all(c)) {
      *flags = NGHTTP2_DATA_FLAG_EOF;
      return n;
    }
    if (!may_send(c)) {
      if (n > 0) return n;
      c->deferred = 1;
      return NGHTTP2_ERR_DEFERRED;
    }
    size_t length = make_message(c->sent++, c->message + 5);
    c->message[0] = 0;
    put_big_endian(c->message + 1, length);
    c->length = 5 + length;
    c->gone = 0;
  }
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
                     void *context) {
  (void)session, (void)frame, (void)flags;
  struct connection *c = context;
  if (name_length == 11 && memcmp(name, "grpc-status", 11) == 0)
    c->good = length == 1 && *value == '0';
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t length, void *context) {
  (void)flags;
  struct connection *c = context;
  while (length > 0) {
    size_t wanted = c->held < 5 ? 5 : 5 + big_endian(c->partial + 1);
    if (c->held == 0 && length >= 5 && length >= 5 + (size_t)big_endian(data + 1)) {
      size_t n = 5 + big_endian(data + 1); // whole: no need to copy it
      if (take_message(c, data + 5, n - 5) < 0) return NGHTTP2_ERR_CALLBACK_FAILURE;
      data += n, length -= n;
      continue;
    }
    if (wanted > sizeof c->partial) return NGHTTP2_ERR_CALLBACK_FAILURE;
    size_t n = wanted - c->held < length ? wanted - c->held : length;
    memcpy(c->partial + c->held, data, n);
    c->held += n;
    data += n, length -= n;
    if (c->held < 5 || c->held < 5 + big_endian(c->partial + 1)) continue;
    if (take_message(c, c->partial + 5, c->held - 5) < 0) return NGHTTP2_ERR_CALLBACK_FAILURE;
    c->held = 0;
  }
  if (c->deferred && (may_send(c) || has_sent_all(c)))
    c->deferred = 0, nghttp2_session_resume_data(session, stream);
  return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  (void)session;
  if (frame->hd.type == NGHTTP2_SETTINGS && frame->hd.flags & NGHTTP2_FLAG_ACK)
    ((struct connection *)context)->up = 1;
  return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *context) {
  (void)session, (void)stream;
  struct connection *c = context;
  end_call(c, error == NGHTTP2_NO_ERROR && c->good);
  return 0;
}

// ---- ttrpc.

static void refill(struct wire *w) {
  struct ttrpc *t = w->frames;
  struct connection *c = t->owner;
  if (kind == SERVER || !c->stream) return;
  int was_sending = !has_sent_all(c);
  while (may_send(c) && t->out.length < PLAIN) {
    uint8_t message[64];
    size_t n = make_message(c->sent++, message);
    memcpy(ttrpc_open(t, c->stream, DATA, 0, n), message, n);
  }
  if (was_sending && has_sent_all(c)) ttrpc_open(t, c->stream, DATA, CLOSED | NO_MESSAGE, 0);
}

static int on_ttrpc_frame(struct wire *w, uint32_t stream, int type, int flags,
                          const uint8_t *payload, size_t length) {
  struct connection *c = ((struct ttrpc *)w->frames)->owner;
  if (stream != (uint32_t)c->stream || c->is_over) return -1;
  if (type == DATA) {
    int state = flags & NO_MESSAGE ? 0 : take_message(c, payload, length);
    if (flags & CLOSED) end_call(c, 1); // how streams end well
    return state;
  }
  const uint8_t *message;
  size_t message_length;
  int good = response_read(payload, length, &message, &message_length);
  if (good && kind == CLIENT) good = take_message(c, message, message_length) == 0;
  end_call(c, good);
  return 0;
}

// ---- Connections.

static void begin(struct connection *c) {
  if (speaks_ttrpc) {
    uint8_t message[64];
    c->stream = 1;
    if (kind == SERVER)
      request_write(c->wire.frames, 1, CLOSED, paths[kind], message, make_message(c->sent++, message));
    else
      request_write(c->wire.frames, 1, OPEN, paths[kind], NULL, 0);
    return;
  }
  const nghttp2_nv headers[] = {NV(":method", "POST", 4),
                                NV(":scheme", scheme, strlen(scheme)),
                                NV(":path", paths[kind], strlen(paths[kind])),
                                NV(":authority", "localhost", 9),
                                NV("content-type", "application/grpc", 16),
                                NV("te", "trailers", 8)};
  nghttp2_data_provider provider = {.source.ptr = c, .read_callback = read_messages};
  c->stream = nghttp2_submit_request(c->wire.session, NULL, headers, 6, &provider, c);
  if (c->stream < 0) die("request");
}

static void attend(int epoll, struct connection *of, int readable) {
  int state = readable ? wire_read(&of->wire) : 0;
  if (state == 0) state = wire_write(&of->wire);
  if (state < 0) {
    errno = 0;
    die("a wrong answer, or the server closed a connection: reading or writing");
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

static void open_connection(struct connection *c, int epoll, nghttp2_session_callbacks *callbacks,
                            const char *unix_path, const char *tcp, SSL_CTX *tls) {
  struct sockaddr_storage address = {0};
  socklen_t length;
  int fd = c->wire.fd = endpoint(unix_path, tcp, &address, &length);
  if (connect(fd, (struct sockaddr *)&address, length) != 0) die("connect");
  fcntl(fd, F_SETFL, O_NONBLOCK);
  no_delay(fd);
  if (speaks_ttrpc) {
    wire_speak_ttrpc(&c->wire, c, on_ttrpc_frame);
    ((struct ttrpc *)c->wire.frames)->refill = refill;
  } else if (wire_speak_h2_client(&c->wire, callbacks, c) != 0) {
    die("session");
  }
  if (tls) wire_tls(&c->wire, tls, 0);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  attend(epoll, c, 0);
  while (speaks_ttrpc ? tls && !SSL_is_init_finished(c->wire.ssl) : !c->up) turn(epoll);
}

int main(int count, char **arguments) {
  int connections = 1;
  char *unix_path = NULL, *tcp = NULL, **files = NULL;
  const char *kind_name = NULL;
  for (int i = 1; i < count; i++) {
    const char *a = arguments[i];
    int left = count - i - 1;
    if (!strcmp(a, "--unix") && left >= 1) unix_path = arguments[++i];
    else if (!strcmp(a, "--tcp") && left >= 1) tcp = arguments[++i];
    else if (!strcmp(a, "--tls") && left >= 3) files = &arguments[i + 1], i += 3;
    else if (!strcmp(a, "--kind") && left >= 1) kind_name = arguments[++i];
    else if (!strcmp(a, "--ttrpc")) speaks_ttrpc = 1;
    else if (!strcmp(a, "--connections") && left >= 1) connections = atoi(arguments[++i]);
    else if (!strcmp(a, "--messages") && left >= 1) messages = atoi(arguments[++i]);
    else connections = 0; // shows the usage
  }
  if (kind_name && !strcmp(kind_name, "client")) kind = CLIENT;
  else if (kind_name && !strcmp(kind_name, "server")) kind = SERVER;
  else if (kind_name && !strcmp(kind_name, "bidi")) kind = BIDI;
  else connections = 0;
  if (!unix_path == !tcp || !tcp != !files || connections < 1 || messages < 1) {
    fprintf(stderr, "usage: streams (--unix PATH | --tcp HOST:PORT --tls CERT KEY CA) "
                    "--kind client|server|bidi [--ttrpc] [--connections N] [--messages N]\n");
    return 2;
  }

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
  if (!all) die("connections");
  for (int i = 0; i < connections; i++)
    open_connection(&all[i], epoll, callbacks, unix_path, tcp, tls);

  puts("ready");
  fflush(stdout);
  getchar();
  uint64_t start = now();
  for (int i = 0; i < connections; i++) {
    begin(&all[i]);
    attend(epoll, &all[i], 0);
  }
  while (done < connections) turn(epoll);
  printf("{\"messages\": %llu, \"failed\": %d, \"seconds\": %.6f}\n",
         (unsigned long long)messages * connections, failed, (now() - start) / 1e9);
  return failed ? 1 : 0;
}
