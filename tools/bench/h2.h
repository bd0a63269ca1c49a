// What the C limit (limit.c) and the load generators (load.c, streams.c) share: one connection over a
// non-blocking socket, with or without TLS, that speaks HTTP/2 or something else (ttrpc.h). nghttp2's
// memory API and OpenSSL's memory BIOs keep system calls to one recv and, normally, one send per
// wake-up.
#pragma once

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// Names and values below are string constants: nghttp2 need not copy them.
#define NV(name, value, length) \
  {(uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, (length), \
   NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE}

enum {
  PLAIN = 64 * 1024,     // plaintext read or gathered at a time
  FRAME = 16 * 1024 + 9, // the largest chunk nghttp2_session_mem_send returns
  WIRE = 2 * PLAIN,      // what PLAIN may become on the wire: records and handshake come on top
};

struct wire {
  int fd;
  // What the connection speaks: takes what came in (0, or -1 when the peer broke it), and appends
  // up to PLAIN bytes of what is due (their number, or -1).
  int (*receive)(struct wire *, const uint8_t *, size_t);
  ssize_t (*gather)(struct wire *, uint8_t *);
  nghttp2_session *session; // of HTTP/2
  void *frames;             // of ttrpc: struct ttrpc
  SSL *ssl; // NULL: cleartext
  BIO *from_peer, *to_peer;
  size_t length, sent; // of `out`
  uint8_t out[WIRE];
};

static _Thread_local uint8_t wire_in[PLAIN], wire_plain[PLAIN];

static inline void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "failed");
  ERR_print_errors_fp(stderr);
  exit(1);
}

static inline void wire_tls(struct wire *w, SSL_CTX *context, int server) {
  w->ssl = SSL_new(context);
  w->from_peer = BIO_new(BIO_s_mem());
  w->to_peer = BIO_new(BIO_s_mem());
  if (!w->ssl || !w->from_peer || !w->to_peer) die("TLS connection");
  SSL_set_bio(w->ssl, w->from_peer, w->to_peer);
  if (server) {
    SSL_set_accept_state(w->ssl);
  } else {
    SSL_set_connect_state(w->ssl);
    SSL_do_handshake(w->ssl); // leaves the ClientHello in `to_peer`
  }
}

static inline void wire_close(struct wire *w) {
  nghttp2_session_del(w->session); // if there is one
  SSL_free(w->ssl); // and both BIOs
  close(w->fd);
}

// Reads once and hands what came on. 0, or -1 when the connection is over.
static inline int wire_read(struct wire *w) {
  ssize_t n = recv(w->fd, wire_in, sizeof wire_in, 0);
  if (n < 0) return errno == EAGAIN ? 0 : -1;
  if (n == 0) return -1;
  if (!w->ssl) return w->receive(w, wire_in, n);
  if (BIO_write(w->from_peer, wire_in, n) != n) return -1;
  for (;;) {
    int m = SSL_read(w->ssl, wire_plain, sizeof wire_plain);
    if (m <= 0) return SSL_get_error(w->ssl, m) == SSL_ERROR_WANT_READ ? 0 : -1;
    if (w->receive(w, wire_plain, m) < 0) return -1;
  }
}

static inline int h2_receive(struct wire *w, const uint8_t *bytes, size_t length) {
  return nghttp2_session_mem_recv(w->session, bytes, length) < 0 ? -1 : 0;
}

// Gathers frames into `to` while another one surely fits.
static inline ssize_t h2_gather(struct wire *w, uint8_t *to) {
  size_t length = 0;
  while (length + FRAME <= PLAIN) {
    const uint8_t *frame;
    ssize_t n = nghttp2_session_mem_send(w->session, &frame);
    if (n < 0) return -1;
    if (n == 0) break;
    memcpy(to + length, frame, n);
    length += n;
  }
  return length;
}

// Writes what is due: 0 when all is written, 1 when the socket is full, -1 when the connection is
// over.
static inline int wire_write(struct wire *w) {
  for (;;) {
    while (w->sent < w->length) {
      ssize_t n = send(w->fd, w->out + w->sent, w->length - w->sent, MSG_NOSIGNAL);
      if (n < 0) return errno == EAGAIN ? 1 : -1;
      w->sent += n;
    }
    w->length = w->sent = 0;
    if (!w->ssl) {
      ssize_t n = w->gather(w, w->out);
      if (n < 0) return -1;
      w->length = n;
    } else {
      if (SSL_is_init_finished(w->ssl)) {
        ssize_t n = w->gather(w, wire_plain);
        if (n < 0 || (n > 0 && SSL_write(w->ssl, wire_plain, n) != n)) return -1;
      }
      int n = BIO_read(w->to_peer, w->out, sizeof w->out);
      if (n > 0) w->length = n;
    }
    if (w->length == 0) return 0;
  }
}

// Windows are large: WINDOW_UPDATE is seldom sent, when half of one is used.
static inline int wire_speak_h2_client(struct wire *w, nghttp2_session_callbacks *callbacks,
                                       void *owner) {
  static const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
  w->receive = h2_receive;
  w->gather = h2_gather;
  if (nghttp2_session_client_new(&w->session, callbacks, owner) != 0 ||
      nghttp2_submit_settings(w->session, 0, settings, 3) != 0)
    return -1;
  return nghttp2_session_set_local_window_size(w->session, 0, 0, 16 << 20);
}

static inline int wire_speak_h2_server(struct wire *w, nghttp2_session_callbacks *callbacks,
                                       const nghttp2_option *options) {
  static const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
  w->receive = h2_receive;
  w->gather = h2_gather;
  if (nghttp2_session_server_new2(&w->session, callbacks, w, options) != 0 ||
      nghttp2_submit_settings(w->session, 0, settings, 3) != 0)
    return -1;
  return nghttp2_session_set_local_window_size(w->session, 0, 0, 16 << 20);
}

// TLS 1.3, both sides with certificates. The caller sets ALPN.
static inline SSL_CTX *tls_context(const SSL_METHOD *method, char *const files[3]) {
  SSL_CTX *context = SSL_CTX_new(method);
  if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
      SSL_CTX_use_certificate_chain_file(context, files[0]) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, files[1], SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_load_verify_locations(context, files[2], NULL) != 1)
    die("TLS files");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  return context;
}

// A socket for PATH or HOST:PORT (exactly one is set), to bind or to connect.
static inline int endpoint(const char *unix_path, const char *tcp, struct sockaddr_storage *address,
                           socklen_t *length) {
  if (unix_path) {
    struct sockaddr_un *un = (struct sockaddr_un *)address;
    un->sun_family = AF_UNIX;
    if ((size_t)snprintf(un->sun_path, sizeof un->sun_path, "%s", unix_path) >= sizeof un->sun_path)
      errno = ENAMETOOLONG, die(unix_path);
    *length = sizeof *un;
  } else {
    const char *colon = strrchr(tcp, ':');
    if (!colon) errno = EINVAL, die(tcp);
    char *host = strndup(tcp, colon - tcp);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) die(tcp);
    memcpy(address, found->ai_addr, found->ai_addrlen);
    *length = found->ai_addrlen;
    freeaddrinfo(found);
    free(host);
  }
  int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  return fd;
}

static inline void no_delay(int fd) {
  // Fails on a Unix socket, which has no such delay.
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}
