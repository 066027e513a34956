/* codec/usercert.h -- an OpenSSH user certificate of an Ed25519 key (PROTOCOL.certkeys), as far as
 * its owner has to look into it. The signature is not checked: the machine does that. */
#ifndef CPN_CODEC_USERCERT_H
#define CPN_CODEC_USERCERT_H

#include "base/err.h"
#include "base/view.h"

#define CPN_USERCERT_MAX 12288 /* bytes */
#define CPN_USERCERT_TYPE "ssh-ed25519-cert-v01@openssh.com"

/* Views borrow from the blob. */
typedef struct cpn_usercert {
    cpn_view key;       /* 32 bytes */
    cpn_view principal; /* the first */
} cpn_usercert;

/* CPN_INVALID with a sentence: another type of certificate, a host's, one without a principal (it
 * would be everybody's), malformed, longer than CPN_USERCERT_MAX; out is zero then. */
cpn_rc cpn_usercert_read(cpn_usercert *out, cpn_view blob, cpn_err *err) CPN_MUST_CHECK;

#endif
