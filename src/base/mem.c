/* Scope cleanup and the allocations that may not fail. */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
cpn_auto_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int
cpn_steal_fd(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

void
cpn_auto_mem(void *pp)
{
    void **p = pp;

    free(*p);
    *p = NULL;
}

static void *
or_die(void *p)
{
    if (!p) {
        (void)!write(STDERR_FILENO, "out of memory\n", 14);
        abort();
    }
    return p;
}

void *
cpn_xcalloc(size_t n, size_t size)
{
    return or_die(calloc(n, size));
}

void *
cpn_xrealloc(void *p, size_t n, size_t size)
{
    return or_die(reallocarray(p, n ? n : 1, size));
}

char *
cpn_xstrdup(const char *s)
{
    return or_die(strdup(s));
}

char *
cpn_xstrndup(const char *s, size_t n)
{
    return or_die(strndup(s, n));
}
