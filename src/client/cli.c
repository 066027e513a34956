/* Finds the command, reads its options, runs it and turns the outcome into an exit status. */
#include "client/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/help.h"
#include "client/printable.h"

#define OURS 255   /* as ssh(1) has it */
#define SAY_MAX 64 /* roles or problems that are listed */
#define GROUP_SIZE 64

/* How many words of argv the name covers; 0: it is another one. */
static int
match(const char *name, int argc, char **argv)
{
    cpn_view rest = cpn_view_str(name);
    cpn_view word;
    bool more = true;
    int n = 0;

    for (; more; n++) {
        more = cpn_view_cut(rest, ' ', &word, &rest);
        if (n == argc || !cpn_view_is(word, argv[n]))
            return 0;
    }
    return n;
}

static const cpn_cmd *
longest(int argc, char **argv, int *words)
{
    const cpn_cmd *best = NULL;

    *words = 0;
    for (const cpn_cmd *const *c = cpn_cmds; *c; c++) {
        int n = match((*c)->name, argc, argv);

        if (n > *words) {
            *words = n;
            best = *c;
        }
    }
    return best;
}

const cpn_cmd *
cpn_cli_find(int argc, char **argv, int *words)
{
    const cpn_cmd *c;

    if (argc < 2 || strcmp(argv[0], "network") != 0 || strcmp(argv[1], "bastion") != 0)
        return longest(argc, argv, words);
    /* `network bastion list` is `bastion list`; `network bastion tunnel` is `tunnel`. */
    c = longest(argc - 1, argv + 1, words);
    if (!c)
        c = longest(argc - 2, argv + 2, words);
    *words += *words == 0 ? 0 : c == longest(argc - 1, argv + 1, &(int){ 0 }) ? 1 : 2;
    return c;
}

/* A program started without descriptors 0 to 2 would give their numbers to sockets. */
static void
open_std_fds(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd)
            _exit(1);
}

static cpn_rc
read_format(cpn_cli *cli, cpn_err *err)
{
    static const char *const names[] = { "table", "json", "tsv" };
    const char *term = getenv("TERM");
    const char *no_colour = getenv("NO_COLOR");
    const char *want;

    cli->colour =
        isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 && !(no_colour && no_colour[0]);
    if (!(cli->cmd->flags & CPN_CMD_PRINTS))
        return CPN_OK;
    want = cpn_args_or_default(&cli->args, "output");
    for (unsigned i = 0; i < CPN_COUNT(names); i++)
        if (strcmp(want, names[i]) == 0) {
            cli->format = (cpn_format)i;
            return CPN_OK;
        }
    return cpn_fail(err, CPN_INVALID, "--output: '%s' is none of json, table, tsv", want);
}

bool
cpn_cli_roles_missing(const json_t *problem)
{
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(problem, "missing"), i, row)
    {
        const char *role = json_string_value(json_object_get(row, "role"));

        if (role && role[0])
            return true;
    }
    return false;
}

void
cpn_cli_say_problem(const json_t *problem)
{
    const json_t *row;
    const char *decision = json_string_value(json_object_get(problem, "decisionId"));
    size_t i;

    json_array_foreach(json_object_get(problem, "missing"), i, row)
    {
        const char *role = json_string_value(json_object_get(row, "role"));
        const char *scope = json_string_value(json_object_get(row, "scope"));

        if (i == SAY_MAX)
            break;
        if (role && role[0])
            cpn_say_plain("  missing: %s on %s", role, scope ? scope : "/");
    }
    json_array_foreach(json_object_get(problem, "problems"), i, row)
    {
        if (i == SAY_MAX)
            break;
        cpn_say_plain("  %s", json_is_string(row) ? json_string_value(row) : "?");
    }
    if (decision)
        cpn_say_plain("  decision: %s", decision);
}

static bool
reader_is_gone(void)
{
    struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

    return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP));
}

/* Results that did not reach stdout are a failure, but for a reader that has seen enough. What is
 * long, or was flushed before, has failed earlier: then stdio knows that, but no longer why. */
static int
finish(int status)
{
    bool failed = ferror(stdout) != 0;
    int why;

    errno = 0;
    failed = fflush(stdout) != 0 || failed;
    why = errno;
    if (!failed || why == EPIPE || reader_is_gone())
        return status;
    cpn_say("stdout: %s", why ? strerror(why) : "not all of it could be written");
    return status ? status : 1;
}

static int
exit_status(const cpn_cli *cli, cpn_rc rc)
{
    return rc != CPN_OK && (cli->cmd->flags & CPN_CMD_REMOTE) ? OURS : cpn_rc_exit(rc);
}

static int
run(cpn_cli *cli, int argc, char **argv)
{
    cpn_err err = { 0 };
    cpn_rc rc = cpn_args_parse(&cli->args, cli->cmd, argc, argv, &err);

    if (rc == CPN_OK && cpn_args_has(&cli->args, "help")) {
        cpn_help_command(cli->cmd);
        return 0;
    }
    if (rc == CPN_OK)
        rc = cpn_args_complete(&cli->args, &err);
    if (rc == CPN_OK)
        rc = read_format(cli, &err);
    if (rc != CPN_OK) {
        cpn_say("%s", err.msg);
        cpn_say_plain("usage: %s", cpn_help_usage(cli->cmd));
        cpn_say_plain("Try 'caponier %s --help'.", cli->cmd->name);
        return exit_status(cli, rc);
    }
    rc = cli->cmd->run(cli, &err);
    fflush(stdout);
    if (err.msg[0])
        cpn_say("%s", err.msg);
    if (rc != CPN_OK && cli->next[0])
        cpn_say_plain("  %s", cli->next);
    cpn_cli_say_problem(cli->problem);
    return exit_status(cli, rc);
}

static bool
asks_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* How many of the first words are what commands begin with and go on: "vm", "vm hostkey". */
static int
group_of(int argc, char **argv, char out[GROUP_SIZE])
{
    char text[GROUP_SIZE] = "";
    size_t n = 0;
    int words = 0;

    for (int i = 0; i < argc && n < sizeof(text); i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "", argv[i]);
        if (n >= sizeof(text) || !cpn_help_group(NULL, text))
            break;
        memcpy(out, text, n + 1);
        words = i + 1;
    }
    return words;
}

/* The command that was probably meant: one with the same first three letters. */
static const char *
nearest(const char *word)
{
    for (const cpn_cmd *const *c = cpn_cmds; *c; c++)
        if (strlen(word) >= 3 && strncmp((*c)->name, word, 3) == 0)
            return (*c)->name;
    return NULL;
}

static int
say_unknown(const char *group, const char *word)
{
    const char *near = group[0] ? NULL : nearest(word);

    if (word[0] == '-')
        cpn_say("%s stands before the command; options go behind it", word);
    else if (near)
        cpn_say("there is no command '%s'; is '%s' meant?", word, near);
    else
        cpn_say("there is no command '%s%s%s'", group, group[0] ? " " : "", word);
    cpn_say_plain("Try 'caponier %s%s--help'.", group, group[0] ? " " : "");
    return 2;
}

static int
no_command(int argc, char **argv)
{
    char group[GROUP_SIZE] = "";
    int words;

    if (argc > 1 && strcmp(argv[0], "network") == 0 && strcmp(argv[1], "bastion") == 0) {
        argc -= 2;
        argv += 2;
    }
    words = group_of(argc, argv, group);
    if (argc == 0) {
        cpn_help_overview(stderr);
        return 2;
    }
    if (words == argc) {
        (void)cpn_help_group(stderr, group);
        cpn_say("which of these?");
        return 2;
    }
    if (!asks_help(argv[words]))
        return say_unknown(group, argv[words]);
    if (words == 0)
        cpn_help_overview(stdout);
    else
        (void)cpn_help_group(stdout, group);
    return 0;
}

/* Passwords, codes and tokens stand in JSON on their way, in texts and in the library's own
 * buffers; all that it gives back is overwritten. */
static void
free_wiped(void *p)
{
    if (p)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

int
cpn_cli_main(int argc, char **argv)
{
    cpn_cli cli = { 0 };
    char *version[] = { (char[]){ "version" }, NULL };
    int words, status;

    open_std_fds();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* ignored, as some parents leave it, no child could be waited for */
    json_set_alloc_funcs(malloc, free_wiped);
    argc -= argc > 0;
    argv += 1;
    if (argc == 1 && strcmp(argv[0], "--version") == 0)
        argv = version;
    cli.cmd = cpn_cli_find(argc, argv, &words);
    if (cli.cmd)
        status = run(&cli, argc - words, argv + words);
    else
        status = no_command(argc, argv);
    json_decref(cli.problem);
    return finish(status);
}
