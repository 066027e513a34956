/* codec/sshwire.h -- the numbers and strings of RFC 4251 5, in and out.
 *
 * A reader eats from the front of a view. After the first thing that is not there everything else
 * is empty and `bad` stays set, so that a structure is read in one go and judged at its end. */
#ifndef CPN_CODEC_SSHWIRE_H
#define CPN_CODEC_SSHWIRE_H

#include "base/buf.h"

typedef struct cpn_sshwire {
    cpn_view rest;
    bool bad;
} cpn_sshwire;

uint8_t cpn_sshwire_u8(cpn_sshwire *w);
uint32_t cpn_sshwire_u32(cpn_sshwire *w);
uint64_t cpn_sshwire_u64(cpn_sshwire *w);
/* Length and bytes; borrows from what is read. */
cpn_view cpn_sshwire_string(cpn_sshwire *w);
/* Was everything there, and nothing else? */
bool cpn_sshwire_done(const cpn_sshwire *w);

cpn_rc cpn_sshwire_put_u32(cpn_buf *out, uint32_t value) CPN_MUST_CHECK;
cpn_rc cpn_sshwire_put_string(cpn_buf *out, cpn_view v) CPN_MUST_CHECK;

#endif
