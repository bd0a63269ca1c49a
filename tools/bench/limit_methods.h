// What the C limit (limit.c) serves: tables, and methods on them by protobuf-c.
#pragma once

#include "bench/v1/lookup.pb-c.h"
#include "tenancy/v1/authorization.pb-c.h"
#include "tenancy/v1/tenant_resolver.pb-c.h"
#include "ttrpc/integration/streaming/test.pb-c.h"
#include "ttrpc.h"

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

enum { REPLY = 512 }; // a tenant of the table needs less than half of it

static ProtobufCBinaryData text(const char *string) {
  return (ProtobufCBinaryData){strlen(string), (uint8_t *)string};
}

static enum status resolve_tenant(const uint8_t *message, size_t length, uint8_t *reply,
                        size_t *reply_length) {
  Tenancy__V1__ResolveTenantRequest *request =
      tenancy__v1__resolve_tenant_request__unpack(&allocator, length, message);
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
  *reply_length = tenancy__v1__resolve_tenant_response__pack(&response, reply);
  return OK;
}

static enum status check(const uint8_t *message, size_t length, uint8_t *reply,
                        size_t *reply_length) {
  Tenancy__V1__CheckRequest *request =
      tenancy__v1__check_request__unpack(&allocator, length, message);
  if (!request) return INVALID_ARGUMENT;
  if (!tenant_in(request->tenant)) return NOT_FOUND;

  Tenancy__V1__CheckResponse response = TENANCY__V1__CHECK_RESPONSE__INIT;
  response.allowed = 1;
  response.reason = TENANCY__V1__DECISION_REASON__DECISION_REASON_ROLE;
  response.role = text("reader");
  response.revision = 20000;
  *reply_length = tenancy__v1__check_response__pack(&response, reply);
  return OK;
}

static enum status lookup(const uint8_t *message, size_t length, uint8_t *reply,
                        size_t *reply_length) {
  Bench__V1__GetRequest *request = bench__v1__get_request__unpack(&allocator, length, message);
  if (!request) return INVALID_ARGUMENT;
  const struct record *r = record_find(request->key.data, request->key.len);
  if (!r) return NOT_FOUND;

  Bench__V1__Entry response = BENCH__V1__ENTRY__INIT;
  response.name = text(r->name);
  response.value = text(r->value);
  response.revision = r->revision;
  *reply_length = bench__v1__entry__pack(&response, reply);
  return OK;
}

// ---- Methods by name.

enum method { NONE, RESOLVE_TENANT, CHECK, LOOKUP, SUM, DIVIDE, ECHO };

static const struct {
  const char *service, *name;
} methods[] = {
    [RESOLVE_TENANT] = {"tenancy.v1.TenantResolver", "ResolveTenant"},
    [CHECK] = {"tenancy.v1.Authorization", "Check"},
    [LOOKUP] = {"bench.v1.Lookup", "Get"},
    [SUM] = {"ttrpc.integration.streaming.Streaming", "SumStream"},
    [DIVIDE] = {"ttrpc.integration.streaming.Streaming", "DivideStream"},
    [ECHO] = {"ttrpc.integration.streaming.Streaming", "EchoStream"},
};

static size_t service_lengths[ECHO + 1], name_lengths[ECHO + 1];

static void methods_make(void) {
  for (int m = RESOLVE_TENANT; m <= ECHO; m++) {
    service_lengths[m] = strlen(methods[m].service);
    name_lengths[m] = strlen(methods[m].name);
  }
}

static enum method method_find(const uint8_t *service, size_t service_length, const uint8_t *name,
                               size_t name_length) {
  for (int m = RESOLVE_TENANT; m <= ECHO; m++)
    if (service_length == service_lengths[m] && name_length == name_lengths[m] &&
        memcmp(name, methods[m].name, name_length) == 0 &&
        memcmp(service, methods[m].service, service_length) == 0)
      return m;
  return NONE;
}

// Answers a unary method.
static enum status answer_message(enum method method, const uint8_t *message, size_t length,
                                  uint8_t *reply, size_t *reply_length) {
  arena.used = 0;
  switch (method) {
  case RESOLVE_TENANT: return resolve_tenant(message, length, reply, reply_length);
  case CHECK: return check(message, length, reply, reply_length);
  case LOOKUP: return lookup(message, length, reply, reply_length);
  default: return UNIMPLEMENTED;
  }
}

// ---- Streams, whatever carries them.

struct stream {
  enum method method;
  int32_t sum, count; // of the parts taken, or to be given
};

// A part of SumStream.
static enum status take_part(struct stream *s, const uint8_t *message, size_t length) {
  arena.used = 0;
  Ttrpc__Integration__Streaming__Part *part =
      ttrpc__integration__streaming__part__unpack(&allocator, length, message);
  if (!part) return INVALID_ARGUMENT;
  s->sum += part->add;
  s->count++;
  return OK;
}

static size_t give_sum(const struct stream *s, uint8_t *reply) {
  Ttrpc__Integration__Streaming__Sum sum = TTRPC__INTEGRATION__STREAMING__SUM__INIT;
  sum.sum = s->sum;
  sum.num = s->count;
  return ttrpc__integration__streaming__sum__pack(&sum, reply);
}

// The request of DivideStream.
static enum status take_sum(struct stream *s, const uint8_t *message, size_t length) {
  arena.used = 0;
  Ttrpc__Integration__Streaming__Sum *sum =
      ttrpc__integration__streaming__sum__unpack(&allocator, length, message);
  if (!sum || sum->num < 1) return INVALID_ARGUMENT;
  s->sum = sum->sum / sum->num;
  s->count = sum->num;
  return OK;
}

static size_t give_part(struct stream *s, uint8_t *reply) {
  Ttrpc__Integration__Streaming__Part part = TTRPC__INTEGRATION__STREAMING__PART__INIT;
  part.add = s->sum;
  s->count--;
  return ttrpc__integration__streaming__part__pack(&part, reply);
}

// EchoStream. The answer to a message of up to 400 bytes; 0 for others.
static size_t echo(const uint8_t *message, size_t length, uint8_t *reply) {
  arena.used = 0;
  Ttrpc__Integration__Streaming__EchoPayload *payload =
      ttrpc__integration__streaming__echo_payload__unpack(&allocator, length, message);
  if (!payload || length > 400) return 0;
  payload->seq++;
  return ttrpc__integration__streaming__echo_payload__pack(payload, reply);
}
