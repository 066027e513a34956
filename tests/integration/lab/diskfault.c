/* A disk that fails: while the file CPN_DISK_FAULT is there, what the programs it is preloaded into
 * have written does not become durable. Built for the tests alone: no product program knows of
 * it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OVER __attribute__((visibility("default")))

static long
faulty(long call, int fd)
{
    const char *path = getenv("CPN_DISK_FAULT");

    if (!path)
        abort(); /* a test of a disk that never fails would prove nothing */
    if (access(path, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return syscall(call, fd);
}

OVER int
fsync(int fd)
{
    return (int)faulty(SYS_fsync, fd);
}

OVER int
fdatasync(int fd)
{
    return (int)faulty(SYS_fdatasync, fd);
}
