/* client/agent.h -- an SSH agent of our own with one identity: for one run of ssh or scp, or shared
 * by all that sign in on one machine.
 *
 * It is a process of its own, in a session of its own, behind a Unix socket of mode 0600 in a
 * folder of mode 0700; it serves programs of this user and root alone (client/peer.h), signs
 * nothing but sign-ins (codec/sshagent.h), and answers nothing once its account has signed out. At
 * its end the key is wiped and the socket removed. */
#ifndef CPN_CLIENT_AGENT_H
#define CPN_CLIENT_AGENT_H

#include "client/inlet.h"
#include "client/sshid.h"

#define CPN_AGENT_CLIENTS 16 /* at once; a further one waits */
#define CPN_AGENT_PATH_SIZE 108
#define CPN_AGENT_DIR "agent.d" /* of shared ones, beside the sign-ins */
#define CPN_AGENT_LOCK ".lock"  /* in that folder: who makes or removes a socket there */
#define CPN_AGENT_IDLE_S                                                                           \
    60 /* what a shared one waits for another question, unless told otherwise */

/* Start one in a new folder (in XDG_RUNTIME_DIR, else TMPDIR or /tmp) that ends with this process,
 * also when that one has become another program; socket gets the path. The identity is wiped in
 * this process, whatever the result; a is borrowed, the agent renews with its copy. CPN_E_SYS. */
cpn_rc cpn_agent_start(CPN_TAKES cpn_sshid *id, cpn_api *a, char socket[CPN_AGENT_PATH_SIZE],
                       cpn_err *err) CPN_MUST_CHECK;

/* See to it that an agent at this path holds an identity of this account for the machine: one that
 * is there already is used, another one replaced. It outlives this process, and ends idle_s after
 * the last question. The path's folder is made, or must be as in client/privfile.h. The rest as
 * cpn_sshid_new. CPN_INVALID: the path. */
cpn_rc cpn_agent_share(cpn_api *a, const char *target, const char *path, unsigned idle_s,
                       cpn_err *err) CPN_MUST_CHECK;

/* One client's bytes so far: answers what is complete, appends to out, keeps the rest. False: the
 * client is to be dropped. */
bool cpn_agent_answer(cpn_sshid *id, cpn_api *a, cpn_buf *in, cpn_buf *out) CPN_MUST_CHECK;
/* What an agent calls its identity: account, gateway and machine, printable. CPN_LIMIT. */
cpn_rc cpn_agent_comment(const cpn_api *a, const char *target, cpn_buf *out) CPN_MUST_CHECK;
/* Serve in a process of its own; this one's identity is wiped, the inlet's descriptor closed.
 * folder "": none is removed at the end. idle_s 0: until this process ends. */
typedef struct cpn_agent_place {
    cpn_inlet inlet;
    char folder[CPN_AGENT_PATH_SIZE];
    unsigned idle_s;
} cpn_agent_place;
cpn_rc cpn_agent_run(cpn_agent_place *at, CPN_TAKES cpn_sshid *id, cpn_api *a,
                     cpn_err *err) CPN_MUST_CHECK;

#endif
