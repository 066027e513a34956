/* client/peer.h -- who is at the other end of a local connection: only the user's own programs and
 * root's may use a tunnel, since it speaks with the user's rights.
 *
 * A Unix socket's peer is what SO_PEERCRED says. A TCP peer is looked up in the system's table of
 * sockets: it must be the other end of exactly this connection, and still be held open by a
 * process. One that was closed at once has no owner any more (the table then says uid 0) and is
 * refused. Whatever cannot be known is a refusal. One file a system: peer_SYSTEM.c. */
#ifndef CPN_CLIENT_PEER_H
#define CPN_CLIENT_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define CPN_PEER_UIDS_MAX 16 /* further users that are let in */

/* All zero: the user itself and root. */
typedef struct cpn_peer_rule {
    bool everybody; /* nobody is asked: the listener was told to be open */
    uid_t also[CPN_PEER_UIDS_MAX];
    unsigned also_n;
} cpn_peer_rule;

/* The uid that holds the other end of a connected socket. CPN_NOT_FOUND: nobody on this machine
 * does, or does any more. CPN_E_SYS: it cannot be known. */
cpn_rc cpn_peer_uid(int fd, uid_t *out, cpn_err *err) CPN_MUST_CHECK;
/* CPN_DENIED, with a sentence that names the uid. CPN_NOT_FOUND and CPN_E_SYS as above. */
cpn_rc cpn_peer_may(int fd, const cpn_peer_rule *rule, cpn_err *err) CPN_MUST_CHECK;
/* Can peers of this listening TCP socket be known at all? CPN_E_SYS with a sentence that says what
 * works without. */
cpn_rc cpn_peer_known(int listen_fd, cpn_err *err) CPN_MUST_CHECK;
/* "1001,1002" into the rule. CPN_INVALID; CPN_LIMIT. */
cpn_rc cpn_peer_rule_add(cpn_peer_rule *rule, const char *uids, cpn_err *err) CPN_MUST_CHECK;

#endif
