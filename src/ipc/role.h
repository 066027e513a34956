/* ipc/role.h -- what every role does first, and what keeper hands to the roles it starts. */
#ifndef CPN_IPC_ROLE_H
#define CPN_IPC_ROLE_H

#include "base/err.h"
#include "ipc/messages.h"

#define CPN_LISTEN_MAX 16
#define CPN_FRONTS_MAX 64

/* The arguments of cpn_keeper_main, cpn_control_main (control/control.h) and cpn_front_main
 * (front/front.h), which return the exit status of the process. All descriptors belong to the role
 * that receives this. */
typedef struct cpn_role_args {
    cpn_role role;
    const char *config_path;    /* control, keeper */
    uint32_t number;            /* front: 1..64 */
    int channel;                /* control: to keeper; front: to control */
    int news;                   /* front: one way, from keeper: NEW_CHANNEL */
    int tally;                  /* front: its shared page, see ipc/tally.h */
    bool log_json;              /* front: as log_format says */
    int ready;                  /* keeper: --ready-fd, or -1 */
    int listen[CPN_LISTEN_MAX]; /* front: listening sockets; keeper: sockets passed to it */
    size_t listens;
    int admin[CPN_LISTEN_MAX]; /* the same for admin_listen */
    size_t admins;
} cpn_role_args;

/* For every role, before anything else: no core file, not dumpable, no new privileges, umask 077,
 * as many descriptors as allowed, SIGPIPE ignored; the process's name becomes `name`. */
void cpn_role_harden(const char *name);
/* How many connections a front of this limit of descriptors takes, and how many streams control
 * gives it: half each, so that a front always has one left for a message that brings a socket.
 * Every role has the same limit; in a front, ask before the sandbox is entered. */
size_t cpn_role_front_half(void);
/* When root, become `user` for good: groups, uids, no way back; the signal at the parent's death
 * stays. When not root, `user` is not looked at. Either way no capability is left, except for a
 * root that has no user to become, which keeps everything (its log says so).
 * Keeper calls it before the first front starts; control once it has read settings and key, else
 * keeper could not kill it. CPN_E_CONF, CPN_E_SYS: the process must not go on. */
cpn_rc cpn_role_drop(const char *user, cpn_err *err) CPN_MUST_CHECK;

#endif
