// The C limit: what ResolveTenant, Check and a bare Lookup/Get cost in C when the server does nothing but
// the lookup. tenantd and, for the last, rpc-interop-server are measured against it. epoll, nghttp2, protobuf-c and, for TLS, OpenSSL; no
// authorization, no logging, no deadlines, no limits beyond fixed buffers.
//
//     limit [--threads N] [--tenants N] [--unix PATH] [--tcp HOST:PORT --tls CERT KEY CA]
//
// Prints "ready" when it listens.

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>

#include "bench/v1/lookup.pb-c.h"
#include "h2.h"
#include "tenancy/v1/authorization.pb-c.h"
#include "tenancy/v1/tenant_resolver.pb-c.h"

// ---- Tenants: `tenant-00000` and on, found by slug in an open hash table.

struct tenant {
  char name[48], slug[16], display_name[24], schema_name[16];
};

static struct tenant **table;
static size_t table_mask;

static size_t slug_hash(const uint8_t *slug, size_t length) {
  uint64_t hash = 0xcbf29ce484222325; // FNV-1a
  for (size_t i = 0; i < length; i++) hash = (hash ^ slug[i]) * 0x100000001b3;
  return hash ^ hash >> 32;
}

static const struct tenant *tenant_find(const uint8_t *slug, size_t length) {
  for (size_t at = slug_hash(slug, length);; at++) {
    const struct tenant *t = table[at & table_mask];
    if (!t || (strlen(t->slug) == length && memcmp(t->slug, slug, length) == 0)) return t;
  }
}

static void tenants_make(unsigned count) {
  size_t slots = 2;
  while (slots < 2 * (size_t)count) slots *= 2;
  table = calloc(slots, sizeof *table);
  struct tenant *all = calloc(count, sizeof *all);
  if (!table || !all) die("tenants");
  table_mask = slots - 1;
  for (unsigned n = 0; n < count; n++) {
    struct tenant *t = &all[n];
    snprintf(t->name, sizeof t->name, "tenants/01890000-0000-7000-8000-%012x", n);
    snprintf(t->slug, sizeof t->slug, "tenant-%05u", n);
    snprintf(t->display_name, sizeof t->display_name, "Tenant %05u", n);
    snprintf(t->schema_name, sizeof t->schema_name, "tenant_%05u", n);
    size_t at = slug_hash((uint8_t *)t->slug, strlen(t->slug));
    while (table[at & table_mask]) at++;
    table[at & table_mask] = t;
  }
}

// The tenant that `/tenants/{slug}/...` or `tenants/{slug}` is about.
static const struct tenant *tenant_in(ProtobufCBinaryData path) {
  const uint8_t *at = path.data, *end = path.data + path.len;
  if (at < end && *at == '/') at++;
  if (end - at < 8 || memcmp(at, "tenants/", 8) != 0) return NULL;
  at += 8;
  const uint8_t *slash = memchr(at, '/', end - at);
  return tenant_find(at, (slash ? slash : end) - at);
}

// ---- Records of bench.v1.Lookup: `key-00000` to `key-09999`.

#define RECORDS 10000

struct record {
  char key[16], name[16], value[24];
  uint64_t revision;
};

static struct record *records[32768]; // a power of two, more than twice the records

static const struct record *record_find(const uint8_t *key, size_t length) {
  for (size_t at = slug_hash(key, length);; at++) {
    const struct record *r = records[at & 32767];
    if (!r || (strlen(r->key) == length && memcmp(r->key, key, length) == 0)) return r;
  }
}

static void records_make(void) {
  struct record *all = calloc(RECORDS, sizeof *all);
  if (!all) die("records");
  for (unsigned n = 0; n < RECORDS; n++) {
    struct record *r = &all[n];
    snprintf(r->key, sizeof r->key, "key-%05u", n);
    snprintf(r->name, sizeof r->name, "entries/%05u", n);
    snprintf(r->value, sizeof r->value, "value of entry %05u", n);
    r->revision = n + 1;
    size_t at = slug_hash((uint8_t *)r->key, strlen(r->key));
    while (records[at & 32767]) at++;
    records[at & 32767] = r;
  }
}

// ---- Messages. A request is decoded into an arena that the next one overwrites.

static _Thread_local struct {
  size_t used;
  _Alignas(16) uint8_t bytes[64 * 1024];
} arena;

static void *arena_alloc(void *context, size_t size) {
  (void)context;
  size = (size + 15) & ~(size_t)15;
  if (size > sizeof arena.bytes - arena.used) return NULL;
  void *made = arena.bytes + arena.used;
  arena.used += size;
  return made;
}

static void arena_free(void *context, void *pointer) { (void)context, (void)pointer; }

static ProtobufCAllocator allocator = {arena_alloc, arena_free, NULL};

enum status { OK = 0, INVALID_ARGUMENT = 3, NOT_FOUND = 5, UNIMPLEMENTED = 12 };

struct call {
  enum { NONE, RESOLVE_TENANT, CHECK, LOOKUP } method;
  uint32_t received, reply_length, reply_sent;
  struct call *next_free;
  uint8_t body[4096]; // a longer request is refused
  uint8_t reply[512]; // a tenant of the table needs less than half of it
};

static ProtobufCBinaryData text(const char *string) {
  return (ProtobufCBinaryData){strlen(string), (uint8_t *)string};
}

static enum status resolve_tenant(struct call *c, size_t length) {
  Tenancy__V1__ResolveTenantRequest *request =
      tenancy__v1__resolve_tenant_request__unpack(&allocator, length, c->body + 5);
  if (!request) return INVALID_ARGUMENT;
  const struct tenant *t = tenant_in(request->path);
  if (!t) return NOT_FOUND;

  Tenancy__V1__ResolvedTenant resolved = TENANCY__V1__RESOLVED_TENANT__INIT;
  resolved.name = text(t->name);
  resolved.id = text(t->name + strlen("tenants/"));
  resolved.slug = text(t->slug);
  resolved.display_name = text(t->display_name);
  resolved.state = TENANCY__V1__TENANT_STATE__TENANT_STATE_ACTIVE;
  resolved.isolation_model = TENANCY__V1__ISOLATION_MODEL__ISOLATION_MODEL_SCHEMA;
  resolved.epoch = 3;
  resolved.schema_name = text(t->schema_name);

  Tenancy__V1__ResolutionFinding path = TENANCY__V1__RESOLUTION_FINDING__INIT;
  path.strategy = TENANCY__V1__RESOLUTION_STRATEGY__RESOLUTION_STRATEGY_PATH;
  path.value = text(t->slug);
  path.decided = 1;

  Tenancy__V1__ResolveTenantResponse response = TENANCY__V1__RESOLVE_TENANT_RESPONSE__INIT;
  response.tenant = &resolved;
  response.strategy = path.strategy;
  response.n_explanation = 1;
  response.explanation = (Tenancy__V1__ResolutionFinding *[]){&path};
  c->reply_length = 5 + tenancy__v1__resolve_tenant_response__pack(&response, c->reply + 5);
  return OK;
}

static enum status check(struct call *c, size_t length) {
  Tenancy__V1__CheckRequest *request =
      tenancy__v1__check_request__unpack(&allocator, length, c->body + 5);
  if (!request) return INVALID_ARGUMENT;
  if (!tenant_in(request->tenant)) return NOT_FOUND;

  Tenancy__V1__CheckResponse response = TENANCY__V1__CHECK_RESPONSE__INIT;
  response.allowed = 1;
  response.reason = TENANCY__V1__DECISION_REASON__DECISION_REASON_ROLE;
  response.role = text("reader");
  response.revision = 20000;
  c->reply_length = 5 + tenancy__v1__check_response__pack(&response, c->reply + 5);
  return OK;
}

static enum status lookup(struct call *c, size_t length) {
  Bench__V1__GetRequest *request = bench__v1__get_request__unpack(&allocator, length, c->body + 5);
  if (!request) return INVALID_ARGUMENT;
  const struct record *r = record_find(request->key.data, request->key.len);
  if (!r) return NOT_FOUND;

  Bench__V1__Entry response = BENCH__V1__ENTRY__INIT;
  response.name = text(r->name);
  response.value = text(r->value);
  response.revision = r->revision;
  c->reply_length = 5 + bench__v1__entry__pack(&response, c->reply + 5);
  return OK;
}

// ---- Calls.

static _Thread_local struct call *free_calls;

static const nghttp2_nv headers[] = {
    NV(":status", "200", 3), NV("content-type", "application/grpc", 16)};
static const nghttp2_nv status_ok = NV("grpc-status", "0", 1);

static ssize_t read_reply(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                          uint32_t *flags, nghttp2_data_source *source, void *context) {
  (void)context;
  struct call *c = source->ptr;
  size_t n = c->reply_length - c->reply_sent;
  if (n > room) n = room;
  memcpy(to, c->reply + c->reply_sent, n);
  c->reply_sent += n;
  if (c->reply_sent == c->reply_length) {
    *flags = NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (nghttp2_submit_trailer(session, stream, &status_ok, 1) != 0)
      return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  return n;
}

static int answer(nghttp2_session *session, int32_t stream, struct call *c) {
  enum status status = INVALID_ARGUMENT;
  size_t length = (size_t)c->body[1] << 24 | c->body[2] << 16 | c->body[3] << 8 | c->body[4];
  arena.used = 0;
  if (c->method == NONE) status = UNIMPLEMENTED;
  else if (c->received >= 5 && c->received <= sizeof c->body && length == c->received - 5)
    status = c->method == LOOKUP  ? lookup(c, length)
             : c->method == CHECK ? check(c, length)
                                  : resolve_tenant(c, length);

  if (status != OK) {
    char code[4];
    int digits = snprintf(code, sizeof code, "%d", status);
    nghttp2_nv only[] = {headers[0], headers[1], NV("grpc-status", code, digits)};
    only[2].flags = NGHTTP2_NV_FLAG_NONE; // `code` must be copied
    return nghttp2_submit_response(session, stream, only, 3, NULL);
  }
  size_t n = c->reply_length - 5;
  memcpy(c->reply, (uint8_t[]){0, n >> 24, n >> 16, n >> 8, n}, 5);
  nghttp2_data_provider provider = {.source.ptr = c, .read_callback = read_reply};
  return nghttp2_submit_response(session, stream, headers, 2, &provider);
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  (void)context;
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  struct call *c = free_calls;
  if (c) free_calls = c->next_free;
  else if (!(c = malloc(sizeof *c))) return NGHTTP2_ERR_CALLBACK_FAILURE;
  c->method = NONE;
  c->received = c->reply_length = c->reply_sent = 0;
  return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, c);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
                     void *context) {
  (void)flags, (void)context;
  static const char resolve[] = "/tenancy.v1.TenantResolver/ResolveTenant";
  static const char authorize[] = "/tenancy.v1.Authorization/Check";
  static const char get[] = "/bench.v1.Lookup/Get";
  if (name_length != 5 || memcmp(name, ":path", 5) != 0) return 0;
  struct call *c = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  if (length == sizeof resolve - 1 && memcmp(value, resolve, length) == 0)
    c->method = RESOLVE_TENANT;
  else if (length == sizeof authorize - 1 && memcmp(value, authorize, length) == 0)
    c->method = CHECK;
  else if (length == sizeof get - 1 && memcmp(value, get, length) == 0)
    c->method = LOOKUP;
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t length, void *context) {
  (void)flags, (void)context;
  struct call *c = nghttp2_session_get_stream_user_data(session, stream);
  if (length > sizeof c->body - c->received)
    return nghttp2_submit_rst_stream(session, 0, stream, NGHTTP2_CANCEL);
  memcpy(c->body + c->received, data, length);
  c->received += length;
  return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  (void)context;
  if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) return 0;
  if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
  struct call *c = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  return c ? answer(session, frame->hd.stream_id, c) : 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *context) {
  (void)error, (void)context;
  struct call *c = nghttp2_session_get_stream_user_data(session, stream);
  if (c) c->next_free = free_calls, free_calls = c;
  return 0;
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

static void accept_connection(int epoll, const struct entry *listener) {
  int fd = accept4(listener->wire.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return; // another thread was faster
  no_delay(fd);
  struct entry *e = malloc(sizeof *e); // the buffer stays untouched until it is used
  if (!e) die("connection");
  memset(e, 0, offsetof(struct entry, wire.out));
  e->wire.fd = fd;
  static const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
  if (nghttp2_session_server_new2(&e->wire.session, callbacks, NULL, options) != 0 ||
      nghttp2_submit_settings(e->wire.session, 0, settings, 3) != 0 ||
      // Seldom a WINDOW_UPDATE: it is sent when half of the window is used.
      nghttp2_session_set_local_window_size(e->wire.session, 0, 0, 16 << 20) != 0)
    die("session");
  if (listener->encrypted) wire_tls(&e->wire, tls, 1);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = e};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

static void serve(int epoll, struct entry *e, uint32_t events) {
  struct wire *w = &e->wire;
  int state = events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? wire_read(w) : 0;
  if (state == 0) state = wire_write(w);
  if (state < 0 ||
      (!nghttp2_session_want_read(w->session) && !nghttp2_session_want_write(w->session))) {
    wire_close(w);
    free(e);
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

static int choose_h2(SSL *ssl, const uint8_t **out, uint8_t *out_length, const uint8_t *in,
                     unsigned length, void *context) {
  (void)ssl, (void)context;
  return SSL_select_next_proto((uint8_t **)out, out_length, (const uint8_t *)"\2h2", 3, in,
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
    SSL_CTX_set_alpn_select_cb(tls, choose_h2, NULL);
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
