/* model/session.h -- a session: one user, one target, one port; one OPEN of Caponier's own door or
 * one authToken of the Azure door. A stream is one TCP connection of it. */
#ifndef CPN_MODEL_SESSION_H
#define CPN_MODEL_SESSION_H

#include "model/addr.h"
#include "model/reason.h"
#include "model/uuid.h"

#define CPN_SESSION_STREAMS_MAX 256

/* How many bytes may go each way. */
#define CPN_NO_LIMIT UINT64_MAX
typedef struct cpn_byte_limits {
    uint64_t up;
    uint64_t down;
} cpn_byte_limits;

/* Which door it came through. */
typedef enum cpn_door { CPN_DOOR_NONE, CPN_DOOR_OWN, CPN_DOOR_AZURE } cpn_door;

/* Whether the client proved, with the key of its sign-in, that its TLS connection ends at the
 * gateway: docs/protocol.md, "Channel binding". */
typedef enum cpn_binding { CPN_BINDING_NONE, CPN_BINDING_EXPORTER } cpn_binding;

/* What the first bytes showed. */
typedef enum cpn_protocol {
    CPN_PROTOCOL_UNKNOWN,
    CPN_PROTOCOL_SSH,
    CPN_PROTOCOL_RDP,
    CPN_PROTOCOL_OTHER
} cpn_protocol;

/* Bytes of one stream, in a shared page that the front writes and control reads (see ipc/tally.h).
 */
typedef struct cpn_tally_slot {
    uint64_t up;      /* bytes written to the target */
    uint64_t down;    /* bytes read from the target  */
    uint64_t last_ms; /* monotonic time of the last byte; 0: the stream has ended */
    uint64_t stream;  /* control's number of it: proves whose slot it is */
} cpn_tally_slot;

#endif
