/* The rate a carrier is held to, from the rates that came through. */
#include "net/pacing.h"

#include "base/mem.h"

#define STEADY 3
#define US_PER_MS 1000u
#define US_PER_S 1000000u

bool
cpn_pacing_due(const cpn_pacing *p, uint64_t now_ms)
{
    return p->sent >= CPN_PACING_SAMPLE &&
           now_ms - p->looked_ms >= CPN_MAX(p->rtt_ms, CPN_PACING_RTT_MIN_US / US_PER_MS);
}

static uint64_t
release(cpn_pacing *p)
{
    uint64_t rate = p->held ? CPN_PACING_FREE : 0;

    p->held = false;
    return rate;
}

static void
learn(cpn_pacing *p, uint64_t rate)
{
    if (rate > p->best + p->best / 8)
        p->steady = 0;
    else if (p->steady < STEADY)
        p->steady++;
    p->best = CPN_MAX(p->best, rate);
}

uint64_t
cpn_pacing_sample(cpn_pacing *p, const cpn_pacing_path *path, uint64_t now_ms)
{
    uint64_t floor;

    p->sent = 0;
    p->looked_ms = now_ms;
    p->rtt_ms = path->rtt_us / US_PER_MS;
    if (path->near_us < CPN_PACING_RTT_MIN_US || path->rate == 0)
        return release(p);
    learn(p, path->rate);
    floor = (uint64_t)CPN_PACING_FLIGHT * US_PER_S / path->near_us;
    p->held = true;
    return CPN_MAX(p->steady == STEADY ? p->best + p->best / 4 : p->best * 3, floor);
}
