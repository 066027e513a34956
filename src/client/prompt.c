/* Asks people, and reads secrets from where they are allowed to be. */
#include "client/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;

/* Leaves the terminal as it was found when somebody gives up at the prompt. */
static void
interrupted(int sig)
{
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    _exit(128 + sig);
}

/* One line from fd, its end not included; a byte at a time, so that the rest stays unread. */
static cpn_rc
read_line(int fd, const char *from, cpn_secret *out, cpn_err *err)
{
    char c = 0;
    ssize_t n;

    out->n = 0;
    while ((n = read(fd, &c, 1)) != 0 && c != '\n') {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cpn_fail(err, CPN_E_SYS, "%s: %s", from, strerror(errno));
        if (out->n == sizeof(out->b) || c == '\0')
            return cpn_fail(err, CPN_INVALID, "%s: the line is too long or not a text", from);
        out->b[out->n++] = (uint8_t)c;
    }
    if (out->n > 0 && out->b[out->n - 1] == '\r')
        out->n--;
    if (out->n == 0)
        return cpn_fail(err, CPN_INVALID, "%s: the first line is empty", from);
    return CPN_OK;
}

static cpn_rc
need_terminal(const char *what, const char *option, cpn_err *err)
{
    if (isatty(STDIN_FILENO))
        return CPN_OK;
    return cpn_fail(err, CPN_INVALID,
                    "the %s cannot be asked for, since standard input is not a terminal; use %s",
                    what, option);
}

cpn_rc
cpn_ask_secret(const char *what, const char *option, cpn_secret *out, cpn_err *err)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
    struct sigaction act = { .sa_handler = interrupted };
    struct sigaction old[CPN_COUNT(signals)];
    struct termios quiet;
    cpn_rc rc = need_terminal(what, option, err);

    if (rc != CPN_OK)
        return rc;
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return cpn_fail(err, CPN_E_SYS, "terminal: %s", strerror(errno));
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
    for (size_t i = 0; i < CPN_COUNT(signals); i++)
        sigaction(signals[i], &act, &old[i]);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    fprintf(stderr, "%s: ", what); /* after it: what is typed at sight of this is not shown */
    rc = read_line(STDIN_FILENO, what, out, err);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    for (size_t i = 0; i < CPN_COUNT(signals); i++)
        sigaction(signals[i], &old[i], NULL);
    fputc('\n', stderr);
    return rc;
}

cpn_rc
cpn_ask_line(const char *what, const char *option, char *out, size_t size, cpn_err *err)
{
    CPN_AUTO(cpn_secret_wipe) cpn_secret line = { 0 };
    cpn_rc rc = need_terminal(what, option, err);

    if (rc != CPN_OK)
        return rc;
    fprintf(stderr, "%s: ", what);
    rc = read_line(STDIN_FILENO, what, &line, err);
    if (rc == CPN_OK && !cpn_view_copy(cpn_secret_view(&line), out, size))
        rc = cpn_fail(err, CPN_INVALID, "the %s is too long", what);
    return rc;
}

cpn_rc
cpn_ask_yes(const char *question, const char *option, cpn_err *err)
{
    char answer[16] = "";
    cpn_rc rc = cpn_ask_line(question, option, answer, sizeof(answer), NULL);

    if (!isatty(STDIN_FILENO))
        return need_terminal("answer", option, err);
    return rc == CPN_OK && (strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0)
               ? CPN_OK
               : CPN_DENIED;
}

cpn_rc
cpn_secret_from_stdin(cpn_secret *out, cpn_err *err)
{
    return read_line(STDIN_FILENO, "standard input", out, err);
}

cpn_rc
cpn_secret_from_file(const char *path, cpn_secret *out, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return cpn_fail(err, CPN_INVALID, "%s: %s", path, strerror(errno));
    return read_line(fd, path, out, err);
}
