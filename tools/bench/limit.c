// The C limit: what calls cost in C when the server does nothing but look things up, or send back what
// it gets. tenantd and rpc-interop-server are measured against it. epoll, nghttp2 or ttrpc's frames,
// protobuf-c and, for TLS, OpenSSL; no authorization, no logging, no deadlines, no limits beyond fixed
// buffers.
//
//     limit [--threads N] [--tenants N] [--unix PATH] [--tcp HOST:PORT --tls CERT KEY CA]
//
// Prints "ready" when it listens.

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>

#include "limit_methods.h"

// ---- gRPC.

struct call {
  struct stream stream;
  uint32_t received, reply_length, reply_sent;
  int ended, deferred; // the request is whole; nghttp2 waits for more to send
  struct call *next_free;
  struct buffer echoed; // framed answers of EchoStream
  uint8_t body[4096];   // a longer message is refused
  uint8_t reply[REPLY];
};

static _Thread_local struct call *free_calls;

static const nghttp2_nv headers[] = {
    NV(":status", "200", 3), NV("content-type", "application/grpc", 16)};
static const nghttp2_nv status_ok = NV("grpc-status", "0", 1);

static void put_prefix(uint8_t *to, size_t length) {
  to[0] = 0;
  put_big_endian(to + 1, length);
}

static ssize_t last_bytes(nghttp2_session *session, int32_t stream, uint32_t *flags, ssize_t n) {
  *flags = NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
  if (nghttp2_submit_trailer(session, stream, &status_ok, 1) != 0)
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  return n;
}

// One message.
static ssize_t read_reply(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                          uint32_t *flags, nghttp2_data_source *source, void *context) {
  (void)context;
  struct call *c = source->ptr;
  size_t n = c->reply_length - c->reply_sent;
  if (n > room) n = room;
  memcpy(to, c->reply + c->reply_sent, n);
  c->reply_sent += n;
  return c->reply_sent == c->reply_length ? last_bytes(session, stream, flags, n) : (ssize_t)n;
}

// The parts of DivideStream, made as they are sent.
static ssize_t read_parts(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                          uint32_t *flags, nghttp2_data_source *source, void *context) {
  (void)context;
  struct call *c = source->ptr;
  size_t n = 0;
  for (;;) {
    size_t left = c->reply_length - c->reply_sent;
    if (left > room - n) left = room - n;
    memcpy(to + n, c->reply + c->reply_sent, left);
    n += left;
    c->reply_sent += left;
    if (c->reply_sent < c->reply_length) return n;
    if (c->stream.count == 0) return last_bytes(session, stream, flags, n);
    size_t length = give_part(&c->stream, c->reply + 5);
    put_prefix(c->reply, length);
    c->reply_length = 5 + length;
    c->reply_sent = 0;
  }
}

static ssize_t read_echoes(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                           uint32_t *flags, nghttp2_data_source *source, void *context) {
  (void)context;
  struct call *c = source->ptr;
  size_t n = c->echoed.length - c->reply_sent;
  if (n > room) n = room;
  if (n == 0 && !c->ended) {
    c->deferred = 1;
    return NGHTTP2_ERR_DEFERRED;
  }
  memcpy(to, c->echoed.bytes + c->reply_sent, n);
  c->reply_sent += n;
  if (c->reply_sent < c->echoed.length) return n;
  c->reply_sent = c->echoed.length = 0;
  return c->ended ? last_bytes(session, stream, flags, n) : (ssize_t)n;
}

static int respond(nghttp2_session *session, int32_t stream, struct call *c,
                   nghttp2_data_source_read_callback read) {
  nghttp2_data_provider provider = {.source.ptr = c, .read_callback = read};
  return nghttp2_submit_response(session, stream, headers, 2, &provider);
}

static int refuse(nghttp2_session *session, int32_t stream, enum status status) {
  char code[4];
  int digits = snprintf(code, sizeof code, "%d", status);
  nghttp2_nv only[] = {headers[0], headers[1], NV("grpc-status", code, digits)};
  only[2].flags = NGHTTP2_NV_FLAG_NONE; // `code` must be copied
  return nghttp2_submit_response(session, stream, only, 3, NULL);
}

static int answer(nghttp2_session *session, int32_t stream, struct call *c) {
  enum status status = INVALID_ARGUMENT;
  size_t reply_length = 0;
  size_t length = c->received >= 5 ? big_endian(c->body + 1) : 0;
  int isWhole = c->received >= 5 && length == c->received - 5;
  switch (c->stream.method) {
  case NONE: return refuse(session, stream, UNIMPLEMENTED);
  case SUM:
    reply_length = give_sum(&c->stream, c->reply + 5);
    status = OK;
    break;
  case ECHO: return 0; // answered since its headers
  case DIVIDE:
    if (!isWhole || take_sum(&c->stream, c->body + 5, length) != OK) break;
    return respond(session, stream, c, read_parts);
  default:
    if (isWhole)
      status = answer_message(c->stream.method, c->body + 5, length, c->reply + 5, &reply_length);
  }
  if (status != OK) return refuse(session, stream, status);
  put_prefix(c->reply, reply_length);
  c->reply_length = 5 + reply_length;
  return respond(session, stream, c, read_reply);
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  (void)context;
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  struct call *c = free_calls;
  if (c) free_calls = c->next_free;
  else if (!(c = calloc(1, sizeof *c))) return NGHTTP2_ERR_CALLBACK_FAILURE;
  c->stream = (struct stream){NONE, 0, 0};
  c->received = c->reply_length = c->reply_sent = 0;
  c->ended = c->deferred = 0;
  c->echoed.length = 0;
  return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, c);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
                     void *context) {
  (void)flags, (void)context;
  if (name_length != 5 || memcmp(name, ":path", 5) != 0) return 0;
  struct call *c = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  const uint8_t *slash = length > 1 ? memchr(value + 1, '/', length - 1) : NULL;
  if (slash)
    c->stream.method =
        method_find(value + 1, slash - value - 1, slash + 1, value + length - slash - 1);
  return 0;
}

// Takes a whole message of a stream. 0, or -1 if it is none.
static int on_message(struct call *c, const uint8_t *message, size_t length) {
  if (c->stream.method == SUM) return take_part(&c->stream, message, length) == OK ? 0 : -1;
  uint8_t reply[REPLY];
  size_t n = echo(message, length, reply);
  if (n == 0) return -1;
  uint8_t *to = buffer_extend(&c->echoed, 5 + n);
  put_prefix(to, n);
  memcpy(to + 5, reply, n);
  return 0;
}

// Cuts a streaming request into messages; `body` holds one that is not whole.
static int read_messages(struct call *c, const uint8_t *data, size_t length) {
  while (c->received > 0 && length > 0) {
    size_t wanted = c->received < 5 ? 5 : 5 + big_endian(c->body + 1);
    if (wanted > sizeof c->body) return -1;
    size_t n = wanted - c->received < length ? wanted - c->received : length;
    memcpy(c->body + c->received, data, n);
    c->received += n;
    data += n, length -= n;
    if (c->received < 5 || c->received < 5 + big_endian(c->body + 1)) continue;
    if (on_message(c, c->body + 5, c->received - 5) < 0) return -1;
    c->received = 0;
  }
  while (length >= 5 && length - 5 >= big_endian(data + 1)) {
    size_t n = big_endian(data + 1);
    if (on_message(c, data + 5, n) < 0) return -1;
    data += 5 + n, length -= 5 + n;
  }
  if (length > sizeof c->body) return -1;
  if (length > 0) memcpy(c->body, data, length), c->received = length;
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t length, void *context) {
  (void)flags, (void)context;
  struct call *c = nghttp2_session_get_stream_user_data(session, stream);
  if (c->stream.method == SUM || c->stream.method == ECHO) {
    if (read_messages(c, data, length) < 0)
      return nghttp2_submit_rst_stream(session, 0, stream, NGHTTP2_CANCEL);
    if (c->deferred) c->deferred = 0, nghttp2_session_resume_data(session, stream);
    return 0;
  }
  if (length > sizeof c->body - c->received)
    return nghttp2_submit_rst_stream(session, 0, stream, NGHTTP2_CANCEL);
  memcpy(c->body + c->received, data, length);
  c->received += length;
  return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  (void)context;
  if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) return 0;
  struct call *c = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  if (!c) return 0;
  if (frame->hd.type == NGHTTP2_HEADERS && c->stream.method == ECHO &&
      respond(session, frame->hd.stream_id, c, read_echoes) != 0)
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
  c->ended = 1;
  if (c->deferred) c->deferred = 0, nghttp2_session_resume_data(session, frame->hd.stream_id);
  return answer(session, frame->hd.stream_id, c);
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *context) {
  (void)error, (void)context;
  struct call *c = nghttp2_session_get_stream_user_data(session, stream);
  if (c) c->next_free = free_calls, free_calls = c;
  return 0;
}

// ---- ttrpc. Streams are few: the newest of each place in the table.

enum { STREAMS = 64 };

struct peer {
  struct stream streams[STREAMS];
  uint32_t dividing; // the stream that DivideStream answers, one at a time
};

static void end_stream(struct ttrpc *t, uint32_t stream, enum status status, const uint8_t *reply,
                       size_t length) {
  if (status != OK) {
    uint8_t *at = ttrpc_open(t, stream, RESPONSE, 0, 4);
    memcpy(at, (uint8_t[]){1 << 3 | 2, 2, 1 << 3, status}, 4);
    return;
  }
  uint8_t *at = ttrpc_open(t, stream, RESPONSE, 0,
                           length ? 1 + varint_size(length) + length : 0);
  if (length) put_field(at, 2, reply, length);
}

static int on_request(struct ttrpc *t, uint32_t id, const uint8_t *payload, size_t length) {
  struct peer *peer = t->owner;
  struct stream *s = &peer->streams[id / 2 % STREAMS];
  struct envelope e;
  uint8_t reply[REPLY];
  size_t reply_length = 0;
  if (envelope_read(&e, payload, length) < 0) return -1;
  enum method method = method_find(e.field[1], e.length[1], e.field[2], e.length[2]);
  *s = (struct stream){method, 0, 0};
  if (method == SUM || method == ECHO) return 0;
  if (method != DIVIDE) {
    enum status status = answer_message(method, e.field[3], e.length[3], reply, &reply_length);
    end_stream(t, id, status, reply, reply_length);
  } else if (peer->dividing || take_sum(s, e.field[3], e.length[3]) != OK) {
    end_stream(t, id, INVALID_ARGUMENT, NULL, 0);
  } else {
    peer->dividing = id;
  }
  return 0;
}

static int on_stream_data(struct ttrpc *t, uint32_t id, int flags, const uint8_t *payload,
                          size_t length) {
  struct stream *s = &((struct peer *)t->owner)->streams[id / 2 % STREAMS];
  uint8_t reply[REPLY];
  if (!(flags & NO_MESSAGE)) {
    if (s->method == ECHO) {
      size_t n = echo(payload, length, reply);
      if (n == 0) return -1;
      memcpy(ttrpc_open(t, id, DATA, 0, n), reply, n);
    } else if (s->method != SUM || take_part(s, payload, length) != OK) {
      return -1;
    }
  }
  if (!(flags & CLOSED)) return 0;
  if (s->method == SUM) end_stream(t, id, OK, reply, give_sum(s, reply));
  else ttrpc_open(t, id, DATA, CLOSED | NO_MESSAGE, 0);
  return 0;
}

static int on_ttrpc_frame(struct wire *w, uint32_t stream, int type, int flags,
                          const uint8_t *payload, size_t length) {
  struct ttrpc *t = w->frames;
  if (type == REQUEST) return on_request(t, stream, payload, length);
  return type == DATA ? on_stream_data(t, stream, flags, payload, length) : -1;
}

static void refill_parts(struct wire *w) {
  struct ttrpc *t = w->frames;
  struct peer *peer = t->owner;
  uint32_t id = peer->dividing;
  if (!id) return;
  struct stream *s = &peer->streams[id / 2 % STREAMS];
  while (s->count > 0 && t->out.length < PLAIN) {
    uint8_t part[REPLY];
    size_t n = give_part(s, part);
    memcpy(ttrpc_open(t, id, DATA, 0, n), part, n);
  }
  if (s->count == 0) peer->dividing = 0, ttrpc_open(t, id, DATA, CLOSED | NO_MESSAGE, 0);
}

// ---- Connections.

static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;
static SSL_CTX *tls;

// An epoll entry: a listener (`accepts`) or a connection.
struct entry {
  int accepts, encrypted, waits_to_write;
  struct wire wire;
};

// The first byte says what the peer speaks.
static int receive_first(struct wire *w, const uint8_t *bytes, size_t length) {
  if (bytes[0] != 0) {
    if (wire_speak_h2_server(w, callbacks, options) != 0) die("session");
  } else {
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer) die("connection");
    wire_speak_ttrpc(w, peer, on_ttrpc_frame);
    ((struct ttrpc *)w->frames)->refill = refill_parts;
  }
  return w->receive(w, bytes, length);
}

static ssize_t gather_nothing(struct wire *w, uint8_t *to) {
  (void)w, (void)to;
  return 0;
}

static void close_connection(struct entry *e) {
  if (e->wire.frames) free(((struct ttrpc *)e->wire.frames)->owner);
  ttrpc_free(&e->wire);
  wire_close(&e->wire);
  free(e);
}

static void accept_connection(int epoll, const struct entry *listener) {
  int fd = accept4(listener->wire.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return; // another thread was faster
  no_delay(fd);
  struct entry *e = malloc(sizeof *e); // the buffer stays untouched until it is used
  if (!e) die("connection");
  memset(e, 0, offsetof(struct entry, wire.out));
  e->wire.fd = fd;
  e->wire.receive = receive_first;
  e->wire.gather = gather_nothing;
  if (listener->encrypted) wire_tls(&e->wire, tls, 1);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = e};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

static void serve(int epoll, struct entry *e, uint32_t events) {
  struct wire *w = &e->wire;
  int state = events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? wire_read(w) : 0;
  if (state == 0) state = wire_write(w);
  if (state < 0 || (w->session && !nghttp2_session_want_read(w->session) &&
                    !nghttp2_session_want_write(w->session))) {
    close_connection(e);
  } else if (state != e->waits_to_write) {
    // Nothing is read while the peer does not read.
    e->waits_to_write = state;
    struct epoll_event event = {.events = state ? EPOLLOUT : EPOLLIN, .data.ptr = e};
    epoll_ctl(epoll, EPOLL_CTL_MOD, w->fd, &event);
  }
}

static struct entry listeners[2];
static int listener_count;

static void *run(void *unused) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < listener_count; i++) {
    // EXCLUSIVE: a new connection wakes one thread, which keeps it.
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = &listeners[i]};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listeners[i].wire.fd, &event) != 0) die("epoll_ctl");
  }
  for (;;) {
    struct epoll_event events[64];
    int n = epoll_wait(epoll, events, 64, -1);
    for (int i = 0; i < n; i++) {
      struct entry *e = events[i].data.ptr;
      if (e->accepts) accept_connection(epoll, e);
      else serve(epoll, e, events[i].events);
    }
  }
  return unused;
}

static void listen_on(const char *unix_path, const char *tcp) {
  struct sockaddr_storage address = {0};
  socklen_t length;
  int fd = endpoint(unix_path, tcp, &address, &length);
  if (unix_path) unlink(unix_path);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  if (bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 1024) != 0 ||
      fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
    die(unix_path ? unix_path : tcp);
  struct entry *e = &listeners[listener_count++];
  e->accepts = 1;
  e->encrypted = tcp != NULL;
  e->wire.fd = fd;
}

static int choose_protocol(SSL *ssl, const uint8_t **out, uint8_t *out_length, const uint8_t *in,
                     unsigned length, void *context) {
  (void)ssl, (void)context;
  return SSL_select_next_proto((uint8_t **)out, out_length, (const uint8_t *)"\2h2\5ttrpc", 9, in,
                               length) == OPENSSL_NPN_NEGOTIATED
             ? SSL_TLSEXT_ERR_OK
             : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int main(int count, char **arguments) {
  int threads = 2, tenants = 10000;
  char *unix_path = NULL, *tcp = NULL, **files = NULL;
  for (int i = 1; i < count; i++) {
    const char *a = arguments[i];
    int left = count - i - 1;
    if (!strcmp(a, "--threads") && left >= 1) threads = atoi(arguments[++i]);
    else if (!strcmp(a, "--tenants") && left >= 1) tenants = atoi(arguments[++i]);
    else if (!strcmp(a, "--unix") && left >= 1) unix_path = arguments[++i];
    else if (!strcmp(a, "--tcp") && left >= 1) tcp = arguments[++i];
    else if (!strcmp(a, "--tls") && left >= 3) files = &arguments[i + 1], i += 3;
    else tenants = 0; // shows the usage
  }
  if (threads < 1 || tenants < 1 || tenants > 100000 || !tcp != !files || (!unix_path && !tcp)) {
    fprintf(stderr, "usage: limit [--threads N] [--tenants N] [--unix PATH] "
                    "[--tcp HOST:PORT --tls CERT KEY CA]\n");
    return 2;
  }

  tenants_make(tenants);
  records_make();
  methods_make();
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  nghttp2_option_new(&options);
  nghttp2_option_set_no_closed_streams(options, 1); // only the priority tree needs these
  if (unix_path) listen_on(unix_path, NULL);
  if (tcp) {
    tls = tls_context(TLS_server_method(), files);
    SSL_CTX_set_num_tickets(tls, 0);
    SSL_CTX_set_alpn_select_cb(tls, choose_protocol, NULL);
    listen_on(NULL, tcp);
  }
  for (int i = 1; i < threads; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, NULL) != 0) die("thread");
  }
  puts("ready");
  fflush(stdout);
  run(NULL);
}
