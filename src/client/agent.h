/* client/agent.h -- an SSH agent of our own with one identity, for one run of ssh or scp.
 *
 * It is a process of its own, in a session of its own, behind a Unix socket of mode 0600 in a new
 * folder of mode 0700 (in XDG_RUNTIME_DIR, else TMPDIR or /tmp); it serves programs of this user
 * and root alone (client/peer.h), signs nothing but sign-ins (codec/sshagent.h), and ends with the
 * process that started it, also when that one has become another program: the key is wiped, socket
 * and folder are removed. */
#ifndef CPN_CLIENT_AGENT_H
#define CPN_CLIENT_AGENT_H

#include "client/sshid.h"

#define CPN_AGENT_CLIENTS 16 /* at once; a further one waits */
#define CPN_AGENT_PATH_SIZE 108

/* Start it; socket gets the path. The identity is wiped in this process, whatever the result; a is
 * borrowed, the agent renews with its copy. CPN_E_SYS. */
cpn_rc cpn_agent_start(CPN_TAKES cpn_sshid *id, cpn_api *a, char socket[CPN_AGENT_PATH_SIZE],
                       cpn_err *err) CPN_MUST_CHECK;

/* One client's bytes so far: answers what is complete, appends to out, keeps the rest. False: the
 * client is to be dropped. */
bool cpn_agent_answer(cpn_sshid *id, cpn_api *a, cpn_buf *in, cpn_buf *out) CPN_MUST_CHECK;

#endif
