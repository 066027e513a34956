/* caponierd: one program, three roles; this file reads the options and calls the role. */
#include <cjose/cjose.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <seccomp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include <yaml.h>

#include "base/log.h"
#include "config/config.h"
#include "control/control.h"
#include "front/front.h"
#include "keeper/keeper.h"
#include "keeper/spawn.h"

#define DEFAULT_CONFIG "/etc/caponier/caponierd.yaml"
#define EXIT_USAGE 2

static const char help[] =
    "usage: caponierd [-c FILE] [options]\n"
    "\n"
    "  -c, --config FILE          settings (default " DEFAULT_CONFIG ")\n"
    "      --check                read the settings, say what is wrong, and exit\n"
    "      --print-defaults       every setting with its default, as a YAML file\n"
    "      --print-settings-markdown  the same as a table\n"
    "      --listen-fd N          use this TCP socket instead of `listen`; may be repeated\n"
    "      --admin-fd N           the same for `admin_listen`\n"
    "      --ready-fd N           write READY=1 and the bound addresses there when the gateway "
    "serves\n"
    "      --version              version, libraries, build options\n"
    "  -h, --help                 this text\n"
    "\n"
    "SIGHUP reloads settings and certificate; SIGTERM drains and stops, twice stops at once.\n";

enum {
    OPT_CHECK = 256,
    OPT_DEFAULTS,
    OPT_MARKDOWN,
    OPT_LISTEN_FD,
    OPT_ADMIN_FD,
    OPT_READY_FD,
    OPT_VERSION,
    /* between keeper and the roles it starts */
    OPT_ROLE,
    OPT_CHANNEL,
    OPT_NUMBER,
    OPT_LISTENS,
    OPT_ADMINS,
    OPT_LOG,
};

static const struct option options[] = {
    { "config", required_argument, NULL, 'c' },
    { "check", no_argument, NULL, OPT_CHECK },
    { "print-defaults", no_argument, NULL, OPT_DEFAULTS },
    { "print-settings-markdown", no_argument, NULL, OPT_MARKDOWN },
    { "listen-fd", required_argument, NULL, OPT_LISTEN_FD },
    { "admin-fd", required_argument, NULL, OPT_ADMIN_FD },
    { "ready-fd", required_argument, NULL, OPT_READY_FD },
    { "version", no_argument, NULL, OPT_VERSION },
    { "help", no_argument, NULL, 'h' },
    { "role", required_argument, NULL, OPT_ROLE },
    { "channel", required_argument, NULL, OPT_CHANNEL },
    { "number", required_argument, NULL, OPT_NUMBER },
    { "listens", required_argument, NULL, OPT_LISTENS },
    { "admins", required_argument, NULL, OPT_ADMINS },
    { "log", required_argument, NULL, OPT_LOG },
    { 0 },
};

typedef struct command {
    cpn_role_args role;
    int action; /* an OPT_ that prints and exits, or 0 */
} command;

#ifdef __clang__
#define CPN_COMPILER __VERSION__
#else
#define CPN_COMPILER "GCC " __VERSION__
#endif

static int
print_version(void)
{
    const struct scmp_version *seccomp = seccomp_version();

    printf("caponierd " CPN_VERSION "\n"
           "libuv %s, %s, SQLite %s, jansson %s, libyaml %s, libseccomp %u.%u.%u, cjose %s\n"
           "built with " CPN_COMPILER ", %s\n",
           uv_version_string(), OpenSSL_version(OPENSSL_VERSION), sqlite3_libversion(),
           jansson_version_str(), yaml_get_version_string(), seccomp->major, seccomp->minor,
           seccomp->micro, cjose_version(), CPN_BUILD_OPTIONS);
#ifdef CPN_LEAKCHECK
    printf("built with -Dleakcheck: the front has NO SANDBOX; for tests only\n");
#endif
#ifdef CPN_SANITIZED
    printf("built with a sanitizer; for tests only\n");
#endif
    return 0;
}

static int
check_settings(const char *path)
{
    cpn_config *c = cpn_xcalloc(1, sizeof(*c));
    cpn_err err = { 0 };
    cpn_rc rc = cpn_config_load(c, path, stderr, &err);

    free(c);
    if (rc != CPN_OK)
        fprintf(stderr, "caponierd: %s\n", err.msg);
    else
        printf("%s: the settings are good\n", path);
    return cpn_rc_exit(rc);
}

/* A small number of an option; exits with a sentence when it is none. */
static int
number(const char *option, const char *text, uint64_t max)
{
    uint64_t n;

    if (cpn_view_u64(cpn_view_str(text), max, &n))
        return (int)n;
    fprintf(stderr, "caponierd: --%s: '%s' is not a number from 0 to %d\n", option, text, (int)max);
    exit(EXIT_USAGE);
}

static void
add_fd(int fds[CPN_LISTEN_MAX], size_t *n, const char *option, int fd)
{
    if (*n == CPN_LISTEN_MAX || fcntl(fd, F_GETFD) < 0) {
        fprintf(stderr, "caponierd: --%s: descriptor %d is not open, or one too many\n", option,
                fd);
        exit(EXIT_USAGE);
    }
    fds[(*n)++] = fd;
}

static cpn_role
role_of(const char *name)
{
    if (strcmp(name, "control") == 0)
        return CPN_ROLE_CONTROL;
    if (strcmp(name, "front") == 0)
        return CPN_ROLE_FRONT;
    /* Started by hand: proves that the front's sandbox kills. */
    if (strncmp(name, "front-selftest=", 15) == 0)
        exit(cpn_front_selftest(name + 15));
    fprintf(stderr, "caponierd: --role is for the gateway's own use\n");
    exit(EXIT_USAGE);
}

/* Options that only keeper gives to the roles it starts. */
static bool
internal_option(cpn_role_args *a, int opt, const char *value)
{
    switch (opt) {
    case OPT_ROLE:
        a->role = role_of(value);
        return true;
    case OPT_CHANNEL:
        a->channel = number("channel", value, 1024);
        return true;
    case OPT_NUMBER:
        a->number = (uint32_t)number("number", value, CPN_FRONTS_MAX);
        return true;
    case OPT_LISTENS:
        a->listens = (size_t)number("listens", value, CPN_LISTEN_MAX);
        return true;
    case OPT_ADMINS:
        a->admins = (size_t)number("admins", value, CPN_LISTEN_MAX);
        return true;
    case OPT_LOG:
        a->log_json = strcmp(value, "json") == 0;
        return true;
    default:
        return false;
    }
}

static void
parse(command *cmd, int argc, char **argv)
{
    cpn_role_args *a = &cmd->role;
    int opt;

    while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (internal_option(a, opt, optarg))
            continue;
        switch (opt) {
        case 'c':
            a->config_path = optarg;
            break;
        case OPT_LISTEN_FD:
            add_fd(a->listen, &a->listens, "listen-fd", number("listen-fd", optarg, 65535));
            break;
        case OPT_ADMIN_FD:
            add_fd(a->admin, &a->admins, "admin-fd", number("admin-fd", optarg, 65535));
            break;
        case OPT_READY_FD:
            a->ready = number("ready-fd", optarg, 65535);
            break;
        case '?':
            fprintf(stderr, "Try 'caponierd --help'.\n");
            exit(EXIT_USAGE);
        default:
            cmd->action = opt;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "caponierd: '%s' is not an option\n", argv[optind]);
        exit(EXIT_USAGE);
    }
}

/* sd_listen_fds(3): descriptors from 3 on; those named "admin" serve admin_listen. */
static void
take_activated_sockets(cpn_role_args *a)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    cpn_view names = cpn_view_str(getenv("LISTEN_FDNAMES")), name;
    uint64_t owner, n = 0;

    if (pid && count && cpn_view_u64(cpn_view_str(pid), INT32_MAX, &owner) &&
        owner == (uint64_t)getpid() && cpn_view_u64(cpn_view_str(count), 2 * CPN_LISTEN_MAX, &n))
        for (int fd = 3; fd < 3 + (int)n; fd++) {
            cpn_view_cut(names, ':', &name, &names);
            if (cpn_view_is(name, "admin"))
                add_fd(a->admin, &a->admins, "LISTEN_FDS", fd);
            else
                add_fd(a->listen, &a->listens, "LISTEN_FDS", fd);
        }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

/* Where keeper put them; see spawn_front in keeper/supervise.c. */
static void
find_inherited(cpn_role_args *a)
{
    int fd = CPN_SPAWN_FIRST_FD;

    a->channel = fd++;
    a->news = fd++;
    a->tally = fd++;
    for (size_t i = 0; i < a->listens; i++)
        a->listen[i] = fd++;
    for (size_t i = 0; i < a->admins; i++)
        a->admin[i] = fd++;
}

static int
run_role(cpn_role_args *a)
{
    switch (a->role) {
    case CPN_ROLE_CONTROL:
        cpn_role_harden("cpn-control");
        cpn_log_setup("control", false, CPN_LOG_INFO, STDERR_FILENO);
        unsetenv("NOTIFY_SOCKET");
        return cpn_control_main(a);
    case CPN_ROLE_FRONT:
        cpn_role_harden("cpn-front");
        cpn_log_setup("front", a->log_json, CPN_LOG_INFO, STDERR_FILENO);
        unsetenv("NOTIFY_SOCKET");
        find_inherited(a);
        return cpn_front_main(a);
    default:
        cpn_role_harden("caponierd");
        cpn_log_setup("keeper", false, CPN_LOG_INFO, STDERR_FILENO);
        take_activated_sockets(a);
        return cpn_keeper_main(a);
    }
}

/* A descriptor below 3 that is not open would be taken by the next socket. */
static void
open_standard_streams(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(EXIT_USAGE);
}

int
main(int argc, char **argv)
{
    command cmd = { .role = { .role = CPN_ROLE_KEEPER,
                              .config_path = DEFAULT_CONFIG,
                              .channel = -1,
                              .news = -1,
                              .tally = -1,
                              .ready = -1 } };

    open_standard_streams();
    parse(&cmd, argc, argv);
    switch (cmd.action) {
    case 'h':
        fputs(help, stdout);
        return 0;
    case OPT_VERSION:
        return print_version();
    case OPT_CHECK:
        return check_settings(cmd.role.config_path);
    case OPT_DEFAULTS:
        cpn_config_print_defaults(stdout);
        return 0;
    case OPT_MARKDOWN:
        cpn_config_print_markdown(stdout);
        return 0;
    default:
        return run_role(&cmd.role);
    }
}
