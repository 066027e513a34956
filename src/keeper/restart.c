/* The arithmetic of restarting. */
#include "keeper/restart.h"

uint64_t
cpn_restart_delay(cpn_restarts *r, uint64_t now_ms)
{
    uint64_t oldest = r->at_ms[r->next];

    if (r->n == CPN_RESTART_AT_ONCE && now_ms - oldest < CPN_RESTART_WINDOW_MS)
        return CPN_RESTART_APART_MS;
    r->at_ms[r->next] = now_ms;
    r->next = (r->next + 1) % CPN_RESTART_AT_ONCE;
    if (r->n < CPN_RESTART_AT_ONCE)
        r->n++;
    return 0;
}
