// malloc_trim, which the Glibc module map leaves out.
#include <malloc.h>
