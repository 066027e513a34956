/* The memory behind a front's tally: made once, sealed, mapped by two processes. */
#include "ipc/tally.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

cpn_rc
cpn_tally_create(int *fd, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int owned = memfd_create("tally", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (owned < 0 || ftruncate(owned, sizeof(cpn_tally)) < 0 ||
        fcntl(owned, F_ADD_SEALS, SEALS) < 0)
        return cpn_fail(err, CPN_E_SYS, "making a tally: %s", strerror(errno));
    *fd = cpn_steal_fd(&owned);
    return CPN_OK;
}

/* Without the seals whoever holds the descriptor could shrink it under a reader's feet. */
static cpn_rc
check(int fd, cpn_err *err)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);

    if (fstat(fd, &st) < 0 || st.st_size != (off_t)sizeof(cpn_tally) || seals < 0 ||
        (seals & SEALS) != SEALS)
        return cpn_fail(err, CPN_E_PROTO, "not a tally");
    return CPN_OK;
}

static cpn_rc
map(void **out, int fd, int prot, cpn_err *err)
{
    cpn_rc rc = check(fd, err);
    void *p;

    if (rc != CPN_OK)
        return rc;
    p = mmap(NULL, sizeof(cpn_tally), prot, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return cpn_fail(err, CPN_E_SYS, "mapping a tally: %s", strerror(errno));
    *out = p;
    return CPN_OK;
}

cpn_rc
cpn_tally_map(cpn_tally **out, int fd, cpn_err *err)
{
    void *p = NULL;
    cpn_rc rc = map(&p, fd, PROT_READ | PROT_WRITE, err);

    *out = p;
    return rc;
}

cpn_rc
cpn_tally_map_readonly(const cpn_tally **out, int fd, cpn_err *err)
{
    void *p = NULL;
    cpn_rc rc = map(&p, fd, PROT_READ, err);

    *out = p;
    return rc;
}

void
cpn_tally_unmap(const cpn_tally *t)
{
    if (t)
        munmap((void *)(uintptr_t)t, sizeof(*t));
}
