/* keeper/restart.h -- when a process that died is started again: at once five times in ten seconds,
 * then a second apart, never given up. Pure. */
#ifndef CPN_KEEPER_RESTART_H
#define CPN_KEEPER_RESTART_H

#include <stddef.h>
#include <stdint.h>

#define CPN_RESTART_AT_ONCE 5
#define CPN_RESTART_WINDOW_MS 10000
#define CPN_RESTART_APART_MS 1000

/* Zero-initialise. */
typedef struct cpn_restarts {
    uint64_t at_ms[CPN_RESTART_AT_ONCE]; /* the latest immediate restarts */
    size_t next;
    size_t n;
} cpn_restarts;

/* How long to wait before the restart that is due now. */
uint64_t cpn_restart_delay(cpn_restarts *r, uint64_t now_ms);

#endif
