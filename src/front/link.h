/* front/link.h -- the channel to control: what arrives on it finds its connection here, and what
 * must not be lost (the end of a stream, and what it spoke) waits here while control restarts.
 *
 * Losing control ends nothing that relays. Requests that it had are answered 503 and others wait
 * (conn.h), streams being opened are refused, and carriers take no new streams: the next control
 * does not know them, so their client makes a new one and is asked for its bearer again. A message
 * of control that cannot be received (no descriptor left for its socket) ends the front. */
#ifndef CPN_FRONT_LINK_H
#define CPN_FRONT_LINK_H

#include "ipc/ipc.h"

/* Ends and first words that wait for control; the front exits when there would be more. */
#define CPN_LINK_OUTBOX_MAX 65536u

typedef struct cpn_front cpn_front;

typedef struct cpn_link {
    cpn_channel *channel; /* NULL: control is away */
    bool setup;           /* SETUP came on this channel and was taken */
    uint32_t epoch;       /* counts channels: which control knows a carrier */
    cpn_msg *outbox;      /* ENDED, SPOKE and GONE only: they borrow nothing */
    size_t waiting;
    size_t outbox_size;
} cpn_link;

/* Use fd as the channel from now on (the former one, if any, is lost first) and send what waited.
 * fd is taken. */
void cpn_link_adopt(cpn_front *f, CPN_TAKES int fd);
/* This control's SETUP was taken: it may be asked, and hears READY, once. */
void cpn_link_serve(cpn_front *f);
/* Run the loop until control has taken what waits, or a second is over: for a front that leaves. */
void cpn_link_say_last(cpn_front *f);
/* Drop the channel, if any, and what waits. */
void cpn_link_fini(cpn_front *f);

/* May control be asked? False while it is away, or has not sent its SETUP again. */
bool cpn_link_up(const cpn_front *f);
/* More bodies than the channel takes: stop reading from clients until it has drained. */
bool cpn_link_busy(const cpn_front *f);
/* Ask: REQUEST, BODY, CARRIER, OPEN, UPGRADE. CPN_UNAVAILABLE: control is away or does not read. */
cpn_rc cpn_link_ask(cpn_front *f, const cpn_msg *msg) CPN_MUST_CHECK;
/* Tell: ENDED and SPOKE arrive in order, sooner or later, and GONE if control is there, however
 * slow; COUNTERS only if control takes them now. */
void cpn_link_tell(cpn_front *f, const cpn_msg *msg);

#endif
