/* ipc/wire.h -- messages to packets and back; pure, so that it can be fuzzed.
 *
 * A packet: u16 message number, then the fields of messages.def in order, little-endian, with
 * nothing behind them. */
#ifndef CPN_IPC_WIRE_H
#define CPN_IPC_WIRE_H

#include "base/err.h"
#include "ipc/messages.h"

#define CPN_IPC_PACKET_MAX 49152

/* "DIAL"; "?" for a number that is in no table. */
const char *cpn_msg_name(cpn_msg_type type);
/* May `from` send this to `to`? No for every number that is in no table. */
bool cpn_msg_permitted(cpn_msg_type type, cpn_role from, cpn_role to);
/* Descriptors that must come with it. */
cpn_msg_fd cpn_msg_fds(cpn_msg_type type);
const char *cpn_role_name(cpn_role role);

/* Writes at most size bytes (CPN_IPC_PACKET_MAX always suffices), *n of them used.
 * CPN_E_PROTO: a field is over its bound; that is a bug in us. */
cpn_rc cpn_msg_encode(const cpn_msg *msg, uint8_t *out, size_t size, size_t *n,
                      cpn_err *err) CPN_MUST_CHECK;
/* Views in *out borrow from packet. CPN_E_PROTO: unknown number, a field over its bound, too
 * few or too many bytes. */
cpn_rc cpn_msg_decode(cpn_msg *out, cpn_view packet, cpn_err *err) CPN_MUST_CHECK;

#endif
