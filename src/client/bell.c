/* Makes the socket by which a running tunnel is found. */
#include "client/bell.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "client/rundir.h"

#define TRIES 16 /* ids that may be taken */

bool
cpn_bell_is(const char *name, const char **id)
{
    size_t n = strlen(CPN_BELL_PREFIX);

    if (strncmp(name, CPN_BELL_PREFIX, n) != 0 || strlen(name + n) != CPN_BELL_ID - 1 ||
        strspn(name + n, "0123456789abcdef") != CPN_BELL_ID - 1)
        return false;
    *id = name + n;
    return true;
}

void
cpn_bell_path(int dirfd, const char *name, char out[CPN_INLET_TEXT])
{
    snprintf(out, CPN_INLET_TEXT, "/proc/self/fd/%d/%s", dirfd, name);
}

/* In the first folder that there can be. */
static cpn_rc
open_folder(int *out, cpn_err *err)
{
    cpn_rc rc = cpn_rundir_open(CPN_RUNDIR_RUNTIME, true, out, err);

    return rc == CPN_NOT_FOUND ? cpn_rundir_open(CPN_RUNDIR_STATE, true, out, err) : rc;
}

static cpn_rc
listen_as(cpn_bell *d, cpn_err *err)
{
    char name[sizeof(CPN_BELL_PREFIX) + CPN_BELL_ID], path[CPN_INLET_TEXT];
    uint8_t random[3];

    cpn_random(random, sizeof(random));
    snprintf(d->id, sizeof(d->id), "%02x%02x%02x", random[0], random[1], random[2]);
    snprintf(name, sizeof(name), CPN_BELL_PREFIX "%s", d->id);
    cpn_bell_path(d->dirfd, name, path);
    return cpn_inlet_unix(&d->inlet, path, err);
}

cpn_rc
cpn_bell_open(cpn_bell *d, cpn_err *err)
{
    cpn_rc rc = open_folder(&d->dirfd, err);

    if (rc != CPN_OK)
        return rc;
    d->since_ms = cpn_wall_ms();
    for (int i = 0; i < TRIES; i++)
        if ((rc = listen_as(d, err)) == CPN_OK)
            break;
    return rc;
}

void
cpn_bell_close(cpn_bell *d)
{
    cpn_inlet_close(&d->inlet);
    if (d->dirfd >= 0)
        close(d->dirfd);
    *d = CPN_BELL_NONE;
}
