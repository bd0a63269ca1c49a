// Not in Swift's Glibc.
#include <sys/epoll.h>
#include <sys/eventfd.h>
