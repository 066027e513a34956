/* Makes the socket by which a running tunnel is found. */
#include "client/ctlsock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "client/rundir.h"

#define TRIES 16 /* ids that may be taken */

bool
cpn_ctlsock_is(const char *name, const char **id)
{
    size_t n = strlen(CPN_CTLSOCK_PREFIX);

    if (strncmp(name, CPN_CTLSOCK_PREFIX, n) != 0 || strlen(name + n) != CPN_CTLSOCK_ID - 1 ||
        strspn(name + n, "0123456789abcdef") != CPN_CTLSOCK_ID - 1)
        return false;
    *id = name + n;
    return true;
}

void
cpn_ctlsock_path(int dirfd, const char *name, char out[CPN_INLET_TEXT])
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
listen_as(cpn_ctlsock *c, cpn_err *err)
{
    char name[sizeof(CPN_CTLSOCK_PREFIX) + CPN_CTLSOCK_ID], path[CPN_INLET_TEXT];
    uint8_t random[3];

    cpn_random(random, sizeof(random));
    snprintf(c->id, sizeof(c->id), "%02x%02x%02x", random[0], random[1], random[2]);
    snprintf(name, sizeof(name), CPN_CTLSOCK_PREFIX "%s", c->id);
    cpn_ctlsock_path(c->dirfd, name, path);
    return cpn_inlet_unix(&c->inlet, path, err);
}

cpn_rc
cpn_ctlsock_open(cpn_ctlsock *c, cpn_err *err)
{
    cpn_rc rc = open_folder(&c->dirfd, err);

    if (rc != CPN_OK)
        return rc;
    c->since_ms = cpn_wall_ms();
    for (int i = 0; i < TRIES; i++)
        if ((rc = listen_as(c, err)) == CPN_OK)
            break;
    return rc;
}

void
cpn_ctlsock_close(cpn_ctlsock *c)
{
    cpn_inlet_close(&c->inlet);
    if (c->dirfd >= 0)
        close(c->dirfd);
    *c = CPN_CTLSOCK_NONE;
}
