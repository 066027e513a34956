/* codec/chain.h -- the audit chain: what makes an edited, missing, swapped or cut record visible.
 * Pure, so that the gateway checks its store and anyone checks an export with the same code.
 *
 * A record is one JSON object. Its canonical form is compact JSON with the names in byte order,
 * strings in UTF-8 with only '"', '\' and bytes below 0x20 escaped (\b \f \n \r \t, else \u00XX in
 * capitals), integers only. To what the writer said two members are added:
 *
 *     "seq"   1, 2, 3, … without a gap
 *     "prev"  the hash of the record before, 64 lower-case hex digits; zeros for the first
 *
 * The record's hash is SHA-256 over the canonical form with these two in it. The hash itself stands
 * beside the record (an export shows it as the member "hash", which is not part of what is hashed).
 *
 * A chain's head is the seq and hash of its newest record. It is stored apart from the records, so
 * that a cut tail shows; an attacker who can rewrite both is only caught by a head kept elsewhere
 * (an export), as with every plain chain. One chain a node: a record's time and node are the
 * writer's members. */
#ifndef CPN_CODEC_CHAIN_H
#define CPN_CODEC_CHAIN_H

#include "base/buf.h"
#include "codec/digest.h"

#define CPN_RECORD_MAX 65536       /* bytes of a record's canonical form */
#define CPN_RECORD_MEMBERS_MAX 120 /* that its writer gives it */

/* Zero value: an empty chain. */
typedef struct cpn_chain_head {
    uint64_t seq;
    uint8_t hash[CPN_SHA256_BYTES];
} cpn_chain_head;

/* Make body the next record: append it with its two further members to record (which should be
 * empty) and move the head. body is in canonical form already (cpn_json_dump_canonical) and flat:
 * its members are strings, integers, true, false or null, since it is not read again but only
 * looked through. CPN_INVALID: it is not so, or holds a reserved name (seq, prev, hash). CPN_LIMIT:
 * longer than CPN_RECORD_MAX. The head is untouched then. */
cpn_rc cpn_chain_link(cpn_chain_head *head, cpn_view body, cpn_buf *record,
                      cpn_err *err) CPN_MUST_CHECK;

/* Is this stored record, with its stored hash, the next one after head? CPN_OK: the head moved to
 * it. CPN_INVALID: err says what is wrong. */
cpn_rc cpn_chain_check(cpn_chain_head *head, cpn_view record, const uint8_t hash[CPN_SHA256_BYTES],
                       cpn_err *err) CPN_MUST_CHECK;
/* The same for a record as an export shows it, with its member "hash" and any spelling of JSON. */
cpn_rc cpn_chain_check_export(cpn_chain_head *head, cpn_view record, cpn_err *err) CPN_MUST_CHECK;

#endif
