// ttrpc over a `struct wire`: frames in and out, and the two envelopes.
#pragma once

#include "h2.h"

enum { REQUEST = 1, RESPONSE = 2, DATA = 3 };             // types of frames
enum { CLOSED = 1, OPEN = 2, NO_MESSAGE = 4 }; // flags
enum { TTRPC_HEADER = 10 };

struct buffer {
  uint8_t *bytes;
  size_t length, room;
};

// Room for `count` more bytes, which count as written.
static inline uint8_t *buffer_extend(struct buffer *b, size_t count) {
  if (b->length + count > b->room) {
    while (b->length + count > b->room) b->room = b->room ? 2 * b->room : 4096;
    if (!(b->bytes = realloc(b->bytes, b->room))) die("memory");
  }
  b->length += count;
  return b->bytes + b->length - count;
}

struct ttrpc {
  struct buffer in, out; // a frame that is not whole yet; frames not gathered yet
  size_t taken;          // of `out`
  // One whole frame. 0, or -1 to end the connection.
  int (*on_frame)(struct wire *, uint32_t stream, int type, int flags, const uint8_t *payload,
                  size_t length);
  // Called when `out` is empty: may append to it. NULL: nothing ever does.
  void (*refill)(struct wire *);
  void *owner;
};

static inline uint32_t big_endian(const uint8_t *b) {
  return (uint32_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
}

static inline void put_big_endian(uint8_t *b, uint32_t number) {
  b[0] = number >> 24, b[1] = number >> 16, b[2] = number >> 8, b[3] = number;
}

// Appends a frame; returns where its payload belongs.
static inline uint8_t *ttrpc_open(struct ttrpc *t, uint32_t stream, int type, int flags,
                                  size_t length) {
  uint8_t *at = buffer_extend(&t->out, TTRPC_HEADER + length);
  put_big_endian(at, length);
  put_big_endian(at + 4, stream);
  at[8] = type, at[9] = flags;
  return at + TTRPC_HEADER;
}

static inline int ttrpc_receive(struct wire *w, const uint8_t *bytes, size_t length) {
  struct ttrpc *t = w->frames;
  int isHeld = t->in.length > 0;
  if (isHeld) {
    memcpy(buffer_extend(&t->in, length), bytes, length);
    bytes = t->in.bytes;
    length = t->in.length;
  }
  size_t at = 0;
  while (length - at >= TTRPC_HEADER) {
    const uint8_t *frame = bytes + at;
    size_t payload = big_endian(frame);
    if (payload > 4 << 20) return -1;
    if (length - at < TTRPC_HEADER + payload) break;
    if (t->on_frame(w, big_endian(frame + 4), frame[8], frame[9], frame + TTRPC_HEADER, payload) < 0)
      return -1;
    at += TTRPC_HEADER + payload;
  }
  if (isHeld) {
    memmove(t->in.bytes, bytes + at, length - at);
    t->in.length = length - at;
  } else if (at < length) {
    memcpy(buffer_extend(&t->in, length - at), bytes + at, length - at);
  }
  return 0;
}

static inline ssize_t ttrpc_gather(struct wire *w, uint8_t *to) {
  struct ttrpc *t = w->frames;
  if (t->taken == t->out.length) {
    t->taken = t->out.length = 0;
    if (t->refill) t->refill(w);
  }
  size_t n = t->out.length - t->taken;
  if (n > PLAIN) n = PLAIN;
  memcpy(to, t->out.bytes + t->taken, n);
  t->taken += n;
  return n;
}

static inline void wire_speak_ttrpc(struct wire *w, void *owner,
                                    int (*on_frame)(struct wire *, uint32_t, int, int,
                                                    const uint8_t *, size_t)) {
  struct ttrpc *t = calloc(1, sizeof *t);
  if (!t) die("memory");
  t->on_frame = on_frame;
  t->owner = owner;
  w->frames = t;
  w->receive = ttrpc_receive;
  w->gather = ttrpc_gather;
}

static inline void ttrpc_free(struct wire *w) {
  struct ttrpc *t = w->frames;
  if (!t) return;
  free(t->in.bytes);
  free(t->out.bytes);
  free(t);
}

// ---- The envelopes. Fields of up to 2 MiB, of one-byte tags.

static inline size_t varint_size(uint32_t number) {
  size_t size = 1;
  while (number >>= 7) size++;
  return size;
}

static inline uint8_t *put_varint(uint8_t *to, uint32_t number) {
  for (; number >= 0x80; number >>= 7) *to++ = number | 0x80;
  *to++ = number;
  return to;
}

static inline uint8_t *put_field(uint8_t *to, int number, const void *bytes, size_t length) {
  *to++ = number << 3 | 2;
  to = put_varint(to, length);
  memcpy(to, bytes, length);
  return to + length;
}

// Reads a varint; NULL if there is none.
static inline const uint8_t *get_varint(const uint8_t *at, const uint8_t *end, uint64_t *number) {
  *number = 0;
  for (int shift = 0; at < end && shift < 64; shift += 7) {
    *number |= (uint64_t)(*at & 0x7f) << shift;
    if (*at++ < 0x80) return at;
  }
  return NULL;
}

// Finds the length-delimited fields 1 to 3 of an envelope, and the varint field 1 as a number. 0, or
// -1 if it is malformed.
struct envelope {
  const uint8_t *field[4];
  size_t length[4];
  uint64_t number;
};

static inline int envelope_read(struct envelope *e, const uint8_t *at, size_t length) {
  const uint8_t *end = at + length;
  memset(e, 0, sizeof *e);
  while (at < end) {
    uint64_t key, value;
    if (!(at = get_varint(at, end, &key)) || !(at = get_varint(at, end, &value))) return -1;
    if ((key & 7) == 0) {
      if (key >> 3 == 1) e->number = value;
      continue;
    }
    if ((key & 7) != 2 || value > (size_t)(end - at)) return -1;
    if (key >> 3 < 4) e->field[key >> 3] = at, e->length[key >> 3] = value;
    at += value;
  }
  return 0;
}

// Whether an answer is OK; its message goes to `message`.
static inline int response_read(const uint8_t *payload, size_t length, const uint8_t **message,
                                size_t *message_length) {
  struct envelope e, status;
  if (envelope_read(&e, payload, length) < 0) return 0;
  *message = e.field[2];
  *message_length = e.length[2];
  if (!e.field[1]) return 1;
  return envelope_read(&status, e.field[1], e.length[1]) == 0 && status.number == 0;
}

// Appends a request for `/SERVICE/METHOD`; `message` may be NULL.
static inline void request_write(struct ttrpc *t, uint32_t stream, int flags, const char *path,
                                 const uint8_t *message, size_t length) {
  const char *method = strrchr(path, '/') + 1, *service = path + 1;
  size_t service_length = method - 1 - service, method_length = strlen(method);
  size_t size = 2 + service_length + 2 + method_length;
  if (message) size += 1 + varint_size(length) + length;
  uint8_t *at = ttrpc_open(t, stream, REQUEST, flags, size);
  at = put_field(at, 1, service, service_length);
  at = put_field(at, 2, method, method_length);
  if (message) put_field(at, 3, message, length);
}
