/* client/sshrun.h -- the user's own ssh or scp, pointed at one machine through the gateway.
 *
 * The program is found in the absolute folders of PATH only, never in the current one. What the
 * gateway says reaches it as whole arguments of checked form; no shell reads any of it but the
 * ProxyCommand, whose texts may hold no quote (client/sshconfig.h). Options of ours stand first,
 * so that none of the user's can take their place. */
#ifndef CPN_CLIENT_SSHRUN_H
#define CPN_CLIENT_SSHRUN_H

#include "client/hostkeys.h"
#include "client/target.h"

#define CPN_SSHRUN_ARGS 256

typedef struct cpn_sshrun {
    char *argv[CPN_SSHRUN_ARGS + 1]; /* owned; NULL ends it */
    unsigned n;
    char alias[CPN_NAME_MAX + 16]; /* the machine, as ssh knows it */
    char folder[4096];             /* of the host keys */
} cpn_sshrun;

/* Begin with the program's name and where it leads; the target is resolved. Release with _fini. */
cpn_rc cpn_sshrun_begin(cpn_sshrun *r, const char *program, const cpn_api *a, const cpn_target *t,
                        cpn_err *err) CPN_MUST_CHECK;
void cpn_sshrun_fini(cpn_sshrun *r);
/* One more argument. CPN_LIMIT. */
cpn_rc cpn_sshrun_add(cpn_sshrun *r, cpn_err *err, const char *fmt, ...)
    CPN_PRINTF(3, 4) CPN_MUST_CHECK;
/* Check the host key strictly against the gateway's; an address that is no machine's: as the user's
 * own ssh does, under the name ADDRESS.GATEWAY. said: as cpn_target_resolve has it. CPN_DENIED: the
 * gateway has none, as cpn_sshscan_refuse. */
cpn_rc cpn_sshrun_check_keys(cpn_sshrun *r, const cpn_api *a, const cpn_target *t,
                             const json_t *said, cpn_err *err) CPN_MUST_CHECK;
/* Become the program. Returns only when it cannot be run. */
cpn_rc cpn_sshrun_exec(cpn_sshrun *r, cpn_err *err) CPN_MUST_CHECK;

/* UserKnownHostsFile: that file of the folder, and nothing else. */
cpn_rc cpn_sshrun_known_hosts(cpn_sshrun *r, const char *file, cpn_err *err) CPN_MUST_CHECK;
/* A file's name of its own for each machine of each gateway, since names may be shared. */
void cpn_sshrun_file(const cpn_api *a, const cpn_target *t, const char *use, char out[96]);

#endif
