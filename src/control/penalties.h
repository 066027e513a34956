/* control/penalties.h -- what wrong secrets cost: a source (IPv4 /32, IPv6 /56), and a user name.
 *
 * As in OpenSSH: each failure adds time to a penalty that runs off by itself; over the threshold
 * the next attempts are refused with 429 until it has run off, and it never grows over the cap.
 * Policy refusals cost nothing. All of it is one control process's: a restart forgets it.
 *
 * Sources are a table of penalty_sources entries, in which the one that was added to longest ago
 * makes room: whoever has that many sources need not wait for any.
 *
 * Names, those that exist and those that do not alike, are a sketch (control/sketch.h), in which
 * nothing makes room: no wrong passwords for other names ever give a name another try. The price is
 * that n of them, k of which make one name wait (15 with the settings as they come), make a name
 * that nobody tried wait with a probability of at most (n / k / 65,536)^4. n has to be reached
 * before they run off, two argon2id checks at a time: with 12,000, what ten minutes hold at
 * 20 a second, that is 2 in 100 million. */
#ifndef CPN_CONTROL_PENALTIES_H
#define CPN_CONTROL_PENALTIES_H

#include "control/core.h"

typedef enum cpn_penalty_kind {
    CPN_PENALTY_SECRET, /* password, client secret, one-time code: the setting */
    CPN_PENALTY_TOKEN   /* a bearer that is none of ours: 1 s */
} cpn_penalty_kind;

/* A name costs a fifth of what a source does, so that others cannot lock its owner out quickly. */
#define CPN_PENALTY_NAME_PART 5

cpn_penalties *cpn_penalties_new(const cpn_config *set);
void cpn_penalties_free(cpn_penalties *p);
void cpn_penalties_reload(cpn_penalties *p, const cpn_config *set);

void cpn_penalty_source(cpn_penalties *p, const cpn_addr *source, cpn_penalty_kind kind);
void cpn_penalty_name(cpn_penalties *p, const char *name);
/* Somebody's secret was wrong: costs the source, and the name that was tried (NULL or "": none);
 * and is counted. */
void cpn_penalty_wrong(cpn_control *c, const cpn_addr *source, const char *name);
/* Seconds until the source (and the name, unless NULL) may try again; 0: now. */
unsigned cpn_penalty_wait(cpn_penalties *p, const cpn_addr *source, const char *name);

/* The same by a given clock, for tests. */
void cpn_penalty_source_at(cpn_penalties *p, const cpn_addr *source, cpn_penalty_kind kind,
                           uint64_t now_ms);
void cpn_penalty_name_at(cpn_penalties *p, const char *name, uint64_t now_ms);
unsigned cpn_penalty_wait_at(cpn_penalties *p, const cpn_addr *source, const char *name,
                             uint64_t now_ms);
size_t cpn_penalties_sources(const cpn_penalties *p);

/* A token was refused for `why` at the address `where`: an invalid one is penalised, and logged as
 * long as the source may go on. Returns cpn_penalty_wait. */
unsigned cpn_penalty_token(cpn_penalties *p, const cpn_addr *source, cpn_reason why,
                           const char *where);

#endif
