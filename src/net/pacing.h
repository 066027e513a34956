/* net/pacing.h -- how fast a carrier sends at most, on a path that is long and wide.
 *
 * TCP finds what a path holds by sending more and more, and stops looking only when it has sent as
 * much as it may for some round trips. Where a path is long and wide our windows end before it
 * comes to that: it goes on believing that it looks, and each credit leaves at a multiple of the
 * path's rate (bbr: 2.9 times) or at once (cubic). A queue that is shorter than that burst drops of
 * it. We see which rate came through, and have the kernel spread what we send: over three times the
 * best while it grows, and a quarter over it once it stood still for three samples. A path that
 * turns out wider is found as fast as at first. Where less than CPN_PACING_FLIGHT is on the way
 * there is nothing to spread, and no hold is below that, so that what was slow for its
 * destination's sake says nothing of the next stream. */
#ifndef CPN_NET_PACING_H
#define CPN_NET_PACING_H

#include <stdbool.h>
#include <stdint.h>

/* Shorter paths hold less than our windows; and pacing takes timers. */
#define CPN_PACING_RTT_MIN_US 20000
/* Bytes to send before TCP is asked again. */
#define CPN_PACING_SAMPLE (1u << 20)
/* Bytes in a round trip that every hold lets through. */
#define CPN_PACING_FLIGHT (3u << 20)
/* No hold. */
#define CPN_PACING_FREE UINT64_MAX

typedef struct cpn_pacing {
    uint64_t best;      /* bytes/s */
    unsigned steady;    /* samples since it grew by more than an eighth */
    uint64_t sent;      /* bytes since the last sample: the carrier counts them */
    uint64_t looked_ms; /* when that was */
    uint64_t rtt_ms;    /* the path's then */
    bool held;
} cpn_pacing;

/* What TCP says of a connection. */
typedef struct cpn_pacing_path {
    uint64_t rate;    /* bytes/s that it lately saw acknowledged */
    uint32_t rtt_us;  /* smoothed */
    uint32_t near_us; /* the least */
} cpn_pacing_path;

/* Is it time to ask: has enough been sent, and did a round trip go by? */
bool cpn_pacing_due(const cpn_pacing *p, uint64_t now_ms);
/* The rate to hold the connection to from now on, CPN_PACING_FREE, or 0: as it is. Pure. */
uint64_t cpn_pacing_sample(cpn_pacing *p, const cpn_pacing_path *path, uint64_t now_ms);

/* All 0 where it does not say. */
cpn_pacing_path cpn_pacing_ask(int fd);
void cpn_pacing_hold(int fd, uint64_t rate);

#endif
