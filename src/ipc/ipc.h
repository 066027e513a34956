/* ipc/ipc.h -- the channel between two roles: SOCK_SEQPACKET, one message a packet, descriptors by
 * SCM_RIGHTS. The messages are ipc/messages.def.
 *
 * A packet that does not decode, that this direction does not permit, or that carries the wrong
 * number of descriptors is never handed on: the handler's `broken` is called and the owner kills
 * the sender. Messages that the socket cannot take yet park in a bounded queue. */
#ifndef CPN_IPC_IPC_H
#define CPN_IPC_IPC_H

#include <uv.h>

#include "base/err.h"
#include "ipc/wire.h"

/* Parked messages a channel: what a whole gateway must hear in one turn fits (keeper's list of its
 * streams, the cut of every session), since a full queue costs the peer its life. */
#define CPN_IPC_QUEUE_MAX 524288
#define CPN_IPC_QUEUE_BYTES (64u << 20) /* and their bytes */
/* Parked bytes above which producers of bodies pause. */
#define CPN_IPC_PARKED_HIGH (1u << 20)

typedef struct cpn_channel cpn_channel;

typedef struct cpn_channel_handler {
    /* One message of the peer. msg borrows until return; fd (or -1) belongs to the callee. */
    void (*message)(void *owner, const cpn_msg *msg, int fd);
    /* The peer closed (err NULL), or broke the rules (err says how). Called once; free the channel
     * from here or later. */
    void (*broken)(void *owner, const cpn_err *err);
} cpn_channel_handler;

/* self/peer decide what may arrive. Takes fd (non-blocking is set). */
cpn_rc cpn_channel_new(cpn_channel **out, uv_loop_t *loop, CPN_TAKES int fd, cpn_role self,
                       cpn_role peer, const cpn_channel_handler *handler, void *owner,
                       cpn_err *err) CPN_MUST_CHECK;
/* Encode and send, or park. fd (or -1) is taken, also on failure. CPN_LIMIT: the queue is full,
 * nothing was sent; the caller decides (a peer that does not read for that long is dead).
 * CPN_EOF: it could not be sent, as a rule because the peer has gone, and then `broken` comes next.
 * CPN_E_PROTO: a field is over the bound of the table, and the log names it: nothing was sent. A
 * message that this direction does not permit, or without its descriptor, aborts: a bug in us. */
cpn_rc cpn_channel_send(cpn_channel *c, const cpn_msg *msg, CPN_TAKES int fd) CPN_MUST_CHECK;
/* Bytes parked. */
size_t cpn_channel_parked(const cpn_channel *c);
/* Called on the loop once the queue has drained below 256 KiB after having been above
 * CPN_IPC_PARKED_HIGH, or after it has refused a message. */
void cpn_channel_on_drain(cpn_channel *c, void (*drained)(void *owner));
/* Closes; freed at the end of the loop turn. NULL is fine. */
void cpn_channel_free(cpn_channel *c);
/* One message over a bare socket that nobody reads from, without waiting: keeper's news to a front.
 * fd (or -1) stays the caller's. CPN_AGAIN: the peer's queue is full. */
cpn_rc cpn_channel_post(int sock, const cpn_msg *msg, int fd, cpn_err *err) CPN_MUST_CHECK;
/* A pair of connected ends, close-on-exec. */
cpn_rc cpn_channel_pair(int fds[2], cpn_err *err) CPN_MUST_CHECK;

#endif
