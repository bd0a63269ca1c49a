/* Preloaded to count allocations. */
#include <stddef.h>
#include <stdint.h>

extern void *__libc_malloc(size_t);
static uint64_t count;

void *malloc(size_t size) { count++; return __libc_malloc(size); }
uint64_t tenancy_allocations(void) { return count; }
