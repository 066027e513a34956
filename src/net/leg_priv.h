/* net/leg_priv.h -- the inside of a leg, shared by leg.c (its life, its limits, its socket),
 * leg_in.c (towards the socket) and leg_out.c (from it). Nobody else includes this. */
#ifndef CPN_NET_LEG_PRIV_H
#define CPN_NET_LEG_PRIV_H

#include <errno.h>
#include <sys/socket.h>

#include "net/backlog.h"
#include "net/leg.h"

struct cpn_leg {
    cpn_loop *loop;
    int fd;
    uv_poll_t poll;
    int polled;
    const cpn_leg_events *events;
    void *owner;
    cpn_later reap;
    cpn_judge judge;
    cpn_backlog kept; /* towards the socket */
    cpn_block *held;  /* from the socket: read, not judged or not taken yet */
    size_t last_take;
    size_t last_put;
    uint64_t in;
    uint64_t out;
    uint64_t in_max; /* never below in */
    uint64_t out_max;
    int write_error; /* it takes nothing more: told when everything it said has been read */
    cpn_tally_slot *slot;
    bool in_is_up;
    bool up_open; /* judged, or nothing to judge */
    bool down_open;
    bool refused;  /* a judge said no: nothing moves any more */
    bool maybe;    /* readable as far as we know */
    bool parked;   /* told that it is readable while nobody reads: watching stopped */
    bool in_still; /* at its limit, with more to go */
    bool out_still;
    bool end_held; /* the socket ended or broke meanwhile: looked at when the way goes on */
    bool eof;      /* of the socket */
    bool end_put;
    bool shut;
    bool failed;
    bool dead;
};

/* leg.c */
void cpn_leg_watch(cpn_leg *leg);
/* Whoever ends a session at its limit also shuts its socket, and is about to say why: that is not
 * to be taken for the machine's own end. */
bool cpn_leg_holds_end(cpn_leg *leg);
void cpn_leg_fail(cpn_leg *leg, int error);
void cpn_leg_count(cpn_leg *leg, size_t in, size_t out);
/* This way (in_still or out_still) is at its limit, with more to go. */
void cpn_leg_stand_still(cpn_leg *leg, bool *still);
#define CPN_LEG_PARTS_MAX 64
/* The first `most` bytes of iov; returns the pieces. */
int cpn_leg_cut(struct iovec part[CPN_LEG_PARTS_MAX], const struct iovec *iov, int n, size_t most);

/* leg_in.c */
/* Judge, write, shut: whatever is possible now. Returns bytes written. */
size_t cpn_leg_move_in(cpn_leg *leg);

#endif
