/* Opens a page in the user's browser. */
#include "client/browser.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/view.h"

static bool
is_set(const char *name)
{
    const char *value = getenv(name);

    return value && value[0];
}

cpn_rc
cpn_browser_find(char out[CPN_PROGRAM_PATH], cpn_err *err)
{
    cpn_view rest = cpn_view_str(getenv("BROWSER")), item;
    char name[CPN_PROGRAM_PATH];
    bool more = rest.n > 0;

    while (more) {
        more = cpn_view_cut(rest, ':', &item, &rest);
        if (cpn_view_copy(item, name, sizeof(name)) && cpn_program_find(name, out) == CPN_OK)
            return CPN_OK;
    }
    if (!is_set("DISPLAY") && !is_set("WAYLAND_DISPLAY"))
        return cpn_fail(err, CPN_NOT_FOUND, "there is no display for a browser here");
    if (cpn_program_find("xdg-open", out) != CPN_OK)
        return cpn_fail(err, CPN_NOT_FOUND,
                        "there is no xdg-open to open a browser with (Debian has it in xdg-utils), "
                        "and BROWSER names no program");
    return CPN_OK;
}

/* Its chatter belongs to nobody, and it must not read what is typed for us. */
static int
spawn_actions(posix_spawn_file_actions_t *files)
{
    int why = 0;

    for (int fd = 0; fd < 3 && why == 0; fd++)
        why = posix_spawn_file_actions_addopen(files, fd, "/dev/null", O_RDWR, 0);
    return why;
}

static int
spawn_attributes(posix_spawnattr_t *attr)
{
    sigset_t none, usual;
    int why;

    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE); /* ignored ones stay so across exec */
    sigaddset(&usual, SIGCHLD);
    why = posix_spawnattr_setsigmask(attr, &none);
    if (why == 0)
        why = posix_spawnattr_setsigdefault(attr, &usual);
    if (why == 0)
        why = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                 POSIX_SPAWN_SETSID);
    return why;
}

cpn_rc
cpn_browser_start(const char *program, const char *url, pid_t *pid, cpn_err *err)
{
    char *argv[] = { (char *)program, (char *)url, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    int why;

    if (posix_spawn_file_actions_init(&files) != 0)
        return cpn_fail(err, CPN_E_NOMEM, "%s", program);
    if (posix_spawnattr_init(&attr) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return cpn_fail(err, CPN_E_NOMEM, "%s", program);
    }
    why = spawn_actions(&files);
    if (why == 0)
        why = spawn_attributes(&attr);
    if (why == 0)
        why = posix_spawn(pid, program, &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    if (why != 0)
        return cpn_fail(err, CPN_NOT_FOUND, "%s: %s", program, strerror(why));
    return CPN_OK;
}
