/* policy/binding.h -- may this carrier come in, by the setting channel_binding? Pure.
 *
 *     the token      the proof of its key            prefer        require
 *     has no key     -                               none          no: KEY_MISSING
 *     has a key      none, wrong, used               no: KEY_PROOF no: KEY_PROOF
 *     has a key      good, of another TLS connection none          no: TLS_OPENED
 *     has a key      good, of this TLS connection    exporter      exporter
 *
 * A token with a key is worth nothing without it, whatever the setting: else the thief of a token
 * would only have to leave the proof out. */
#ifndef CPN_POLICY_BINDING_H
#define CPN_POLICY_BINDING_H

#include "model/session.h"

/* The setting; the zero value lets nobody in. */
typedef enum cpn_binding_rule {
    CPN_BINDING_NOBODY = 0,
    CPN_BINDING_REQUIRE,
    CPN_BINDING_PREFER
} cpn_binding_rule;

/* What the caller proved about the key. */
typedef enum cpn_held {
    CPN_HELD_NOT = 0,
    CPN_HELD_ELSEWHERE, /* holds it, and signed for another TLS connection, or for none */
    CPN_HELD_HERE       /* holds it, and signed for this TLS connection */
} cpn_held;

/* "require" or "prefer"; NOBODY for all else. */
cpn_binding_rule cpn_binding_rule_of(const char *word);
/* CPN_WHY_NONE: come in, and *out is what the session is marked with. */
cpn_reason cpn_binding_decide(cpn_binding_rule rule, bool has_key, cpn_held held, cpn_binding *out);
/* "none", "exporter". */
const char *cpn_binding_word(cpn_binding b);
cpn_binding cpn_binding_of(const char *word);

#endif
