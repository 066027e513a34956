/* control/penalties.h -- what wrong secrets cost: a source (IPv4 /32, IPv6 /56), and a user name.
 *
 * As in OpenSSH: each failure adds time to a penalty that runs off by itself; over the threshold
 * the next attempts are refused with 429 until it has run off, and it never grows over the cap. Two
 * tables of fixed size, in which the entry that was added to longest ago makes room: many sources
 * cannot push out a name. Policy refusals cost nothing. */
#ifndef CPN_CONTROL_PENALTIES_H
#define CPN_CONTROL_PENALTIES_H

#include "control/core.h"

typedef enum cpn_penalty_kind {
    CPN_PENALTY_SECRET, /* password, client secret, refresh token, one-time code: the setting */
    CPN_PENALTY_TOKEN   /* a bearer that is none of ours: 1 s */
} cpn_penalty_kind;

typedef enum cpn_penalty_of {
    CPN_PENALTY_OF_SOURCE,
    CPN_PENALTY_OF_NAME,
    CPN_PENALTY_OF_N
} cpn_penalty_of;

cpn_penalties *cpn_penalties_new(const cpn_config *set);
void cpn_penalties_free(cpn_penalties *p);
void cpn_penalties_reload(cpn_penalties *p, const cpn_config *set);

void cpn_penalty_source(cpn_penalties *p, const cpn_addr *source, cpn_penalty_kind kind);
/* A name costs a fifth of what a source does, so that others cannot lock its owner out quickly. */
void cpn_penalty_name(cpn_penalties *p, const char *name);
/* Seconds until the source (and the name, unless NULL) may try again; 0: now. */
unsigned cpn_penalty_wait(cpn_penalties *p, const cpn_addr *source, const char *name);

/* The same by a given clock, for tests. */
void cpn_penalty_add(cpn_penalties *p, cpn_penalty_of of, cpn_view key, uint64_t ms,
                     uint64_t now_ms);
unsigned cpn_penalty_left(cpn_penalties *p, cpn_penalty_of of, cpn_view key, uint64_t now_ms);
size_t cpn_penalties_count(const cpn_penalties *p, cpn_penalty_of of);

/* A token was refused for `why` at the address `where`: an invalid one is penalised, and logged as
 * long as the source may go on. Returns cpn_penalty_wait. */
unsigned cpn_penalty_token(cpn_penalties *p, const cpn_addr *source, cpn_reason why,
                           const char *where);

#endif
