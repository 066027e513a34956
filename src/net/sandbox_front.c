/* The front's seccomp filter: an allow-list, everything else kills the process. */
#include "net/sandbox_front.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Not filtered by argument: they work on what is already held, or on memory. */
static const int plain[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pwritev2),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(accept4),
    SCMP_SYS(shutdown),
    SCMP_SYS(close),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(fstat),
    SCMP_SYS(lseek),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_yield),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* Not SO_LINGER: keeper and control close sockets that a front held, and the last close of one that
 * lingers waits, also when the socket does not block. */
static const struct {
    int level;
    int option;
} options[] = {
    { SOL_SOCKET, SO_ERROR },
    { SOL_SOCKET, SO_KEEPALIVE },
    { SOL_SOCKET, SO_SNDBUF },
    { SOL_SOCKET, SO_RCVBUF },
    { SOL_SOCKET, SO_TYPE },
    { SOL_SOCKET, SO_MAX_PACING_RATE },
    { IPPROTO_TCP, TCP_NODELAY },
    { IPPROTO_TCP, TCP_CORK },
    { IPPROTO_TCP, TCP_USER_TIMEOUT },
    { IPPROTO_TCP, TCP_QUICKACK },
    { IPPROTO_TCP, TCP_NOTSENT_LOWAT },
    { IPPROTO_TCP, TCP_KEEPINTVL },
    { IPPROTO_TCP, TCP_KEEPIDLE },
    { IPPROTO_TCP, TCP_KEEPCNT },
    { IPPROTO_TCP, TCP_INFO },
};

static const unsigned long ioctls[] = { FIONBIO, FIONREAD, FIOCLEX, SIOCOUTQ };
static const unsigned long fcntls[] = { F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC };

#ifdef CPN_SANITIZED
/* Reports read /proc and pipes; the leak check at exit stops the process from a second one. */
static const int sanitizers[] = {
    SCMP_SYS(clone),
    SCMP_SYS(ptrace),
    SCMP_SYS(wait4),
    SCMP_SYS(prctl),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(readlink),
    SCMP_SYS(getdents64),
    SCMP_SYS(kill),
    SCMP_SYS(tgkill),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getppid),
    SCMP_SYS(newfstatat),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(prlimit64),
    SCMP_SYS(stat),
    SCMP_SYS(getrlimit),
    SCMP_SYS(mprotect),
    SCMP_SYS(mmap),
};

static int
allow_sanitizers(scmp_filter_ctx ctx)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < CPN_COUNT(sanitizers); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, sanitizers[i], 0);
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE, O_RDONLY));
    return rc;
}
#else
static int
allow_sanitizers(scmp_filter_ctx ctx)
{
    (void)ctx;
    return 0;
}
#endif

static int
allow_options(scmp_filter_ctx ctx)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < CPN_COUNT(options); i++) {
        struct scmp_arg_cmp level = SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)options[i].level, 0);
        struct scmp_arg_cmp option = SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)options[i].option, 0);

        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2, level, option);
        if (rc == 0)
            rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 2, level, option);
    }
    return rc;
}

/* A listening socket that was shut down could be connected anew by sending with MSG_FASTOPEN. */
static int
allow_sends(scmp_filter_ctx ctx)
{
    int rc =
        seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 2,
                         SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0), SCMP_A4(SCMP_CMP_EQ, 0, 0));

    return rc ? rc
              : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendmsg), 1,
                                 SCMP_A2(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0));
}

static int
allow_memory(scmp_filter_ctx ctx)
{
    int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

    return rc ? rc
              : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int
allow_some(scmp_filter_ctx ctx)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < CPN_COUNT(ioctls); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                              SCMP_A1(SCMP_CMP_EQ, ioctls[i], 0));
    for (size_t i = 0; rc == 0 && i < CPN_COUNT(fcntls); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                              SCMP_A1(SCMP_CMP_EQ, fcntls[i], 0));
    /* abort() and failed assertions; itself only. */
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
    return rc;
}

static int
fill(scmp_filter_ctx ctx)
{
    int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

    for (size_t i = 0; rc == 0 && i < CPN_COUNT(plain); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, plain[i], 0);
    if (rc == 0)
        rc = allow_options(ctx);
    if (rc == 0)
        rc = allow_sends(ctx);
    if (rc == 0)
        rc = allow_memory(ctx);
    if (rc == 0)
        rc = allow_some(ctx);
    return rc ? rc : allow_sanitizers(ctx);
}

static cpn_rc
filter(cpn_err *err)
{
#ifdef CPN_LEAKCHECK
    (void)fill;
    (void)err;
    return CPN_OK;
#else
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int rc;

    if (!ctx)
        return cpn_fail(err, CPN_E_NOMEM, "seccomp filter");
    rc = fill(ctx);
    if (rc == 0)
        rc = seccomp_load(ctx);
    seccomp_release(ctx);
    return rc == 0 ? CPN_OK : cpn_fail(err, CPN_E_SYS, "seccomp: %s", strerror(-rc));
#endif
}

/* Whatever reads a file at its first use: the OpenSSL configuration and its providers' algorithms,
 * the random source, the time zone. */
static cpn_rc
use_once(cpn_err *err)
{
    unsigned char byte;
    time_t now = time(NULL);
    struct tm tm;
    SSL_CTX *ssl;
    EVP_PKEY *key;

    tzset();
    gmtime_r(&now, &tm);
    if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS, NULL) != 1 ||
        RAND_bytes(&byte, 1) != 1)
        return cpn_fail(err, CPN_E_CRYPTO, "OpenSSL does not start");
    ssl = SSL_CTX_new(TLS_server_method());
    key = EVP_EC_gen("P-256");
    EVP_PKEY_free(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"));
    if (ssl)
        SSL_free(SSL_new(ssl));
    SSL_CTX_free(ssl);
    EVP_PKEY_free(key);
    return ssl && key ? CPN_OK : cpn_fail(err, CPN_E_CRYPTO, "OpenSSL has no P-256");
}

static void
limit(__rlimit_resource_t what)
{
    struct rlimit none = { 0, 0 };

    setrlimit(what, &none);
}

cpn_rc
cpn_sandbox_front(cpn_err *err)
{
    struct stat log = { 0 };
    cpn_rc rc;

    if ((rc = use_once(err)) < 0)
        return rc;
    limit(RLIMIT_CORE);
#ifndef CPN_SANITIZED
    limit(RLIMIT_NPROC);
#endif
    if (fstat(STDERR_FILENO, &log) < 0 || !S_ISREG(log.st_mode))
        limit(RLIMIT_FSIZE);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return cpn_fail(err, CPN_E_SYS, "prctl: %s", strerror(errno));
    return filter(err);
}
