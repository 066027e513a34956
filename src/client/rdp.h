/* client/rdp.h -- how somebody wants a machine's desktop: kept for each machine, and put as
 * FreeRDP's arguments or as a .rdp file. No password is in any of them. */
#ifndef CPN_CLIENT_RDP_H
#define CPN_CLIENT_RDP_H

#include <jansson.h>

#include "client/target.h"

#define CPN_RDP_ARGS_MAX 32 /* that go to FreeRDP as they are */
#define CPN_RDP_USER_MAX 256

/* Texts are borrowed from kept, or from the command line. */
typedef struct cpn_rdp {
    const char *user; /* NULL: FreeRDP asks */
    const char *size; /* "1280x800"; NULL: FreeRDP's own choice */
    bool full_screen;
    bool all_monitors;
    unsigned port; /* the local one; 0: the machine's own */
    bool any_port; /* a free one, by --port 0 */
    const char *arg[CPN_RDP_ARGS_MAX];
    unsigned args;
    json_t *kept;
} cpn_rdp;

void cpn_rdp_fini(cpn_rdp *r);
/* What the command line says, over what is there. CPN_INVALID: a text that could mean something
 * else where it goes (control characters), a size that is none, an argument that is no option of
 * FreeRDP's, leads elsewhere, or holds a password. */
cpn_rc cpn_rdp_read(cpn_rdp *r, const cpn_cli *cli, cpn_err *err) CPN_MUST_CHECK;

/* The machine's settings, a file (0600) in the configuration folder; nothing when there is none.
 * What stands in it is checked as if it were typed. t is resolved. */
cpn_rc cpn_rdp_load(cpn_rdp *r, const cpn_api *a, const cpn_target *t, cpn_err *err) CPN_MUST_CHECK;
cpn_rc cpn_rdp_save(const cpn_rdp *r, const cpn_api *a, const cpn_target *t,
                    cpn_err *err) CPN_MUST_CHECK;

/* The local port for this machine's desktop, the same every time: FreeRDP keeps certificates by
 * name and port, and would take one that has changed for one that is new. */
unsigned cpn_rdp_own_port(const cpn_api *a, const cpn_target *t);

/* A .rdp file for a tunnel on this local port. */
cpn_rc cpn_rdp_file(const cpn_rdp *r, unsigned port, cpn_buf *out, cpn_err *err) CPN_MUST_CHECK;

#define CPN_RDP_ARGV_MAX (CPN_RDP_ARGS_MAX + 12)
/* argv of FreeRDP, to which the machine's name is that of the certificate; texts that had to be
 * made live in `text`, the others are borrowed. */
typedef struct cpn_rdp_argv {
    char text[4096];
    char *at[CPN_RDP_ARGV_MAX];
} cpn_rdp_argv;

cpn_rc cpn_rdp_argv_make(cpn_rdp_argv *out, const cpn_rdp *r, const cpn_target *t,
                         const char *program, unsigned port, bool from_stdin,
                         cpn_err *err) CPN_MUST_CHECK;

#endif
