/* codec/hostkey.h -- one public SSH host key as text: "TYPE BASE64 [comment]" (RFC 4253 6.6).
 *
 * A known type, and base64 that holds a key of that type; the comment is whatever it is, and is
 * nobody's business. */
#ifndef CPN_CODEC_HOSTKEY_H
#define CPN_CODEC_HOSTKEY_H

#include "base/err.h"
#include "base/view.h"

#define CPN_HOSTKEY_MAX 4096 /* bytes, as text */
#define CPN_HOSTKEY_PRINT 64 /* room for "SHA256:…" */

typedef struct cpn_hostkey {
    cpn_view type;   /* "ssh-ed25519" */
    cpn_view base64; /* both borrow from the line */
    char print[CPN_HOSTKEY_PRINT];
} cpn_hostkey;

/* CPN_INVALID with a sentence; out is zero then. */
cpn_rc cpn_hostkey_parse(cpn_hostkey *out, cpn_view line, cpn_err *err) CPN_MUST_CHECK;

#endif
