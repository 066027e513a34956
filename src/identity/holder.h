/* identity/holder.h -- does the caller hold the key that its token was issued to? (RFC 9449)
 *
 * A proof that names the exporter of the connection it came over was made for this connection: no
 * other one has that value. Any other proof counts for CPN_PROOF_WINDOW_S around its iat. Either
 * serves once: what was used is remembered until its time is over, at least CPN_PROOF_WINDOW_S, so
 * that a proof seen in one connection opens no other. After that it serves again over its own
 * connection alone, where a slow clock is forgiven and age says nothing. A proof from the future is
 * refused over the same exporter, too: it could come again later. */
#ifndef CPN_IDENTITY_HOLDER_H
#define CPN_IDENTITY_HOLDER_H

#include "codec/proof.h"
#include "policy/binding.h"

/* Memory of used proofs: a fixed table, CPN_HOLDER_WAYS × sets. */
#define CPN_HOLDER_WAYS 16
#define CPN_HOLDER_SETS 4096     /* of requests with a token */
#define CPN_HOLDER_SETS_TOKEN 64 /* of the token endpoint, which strangers can fill */

typedef struct cpn_holders cpn_holders;

/* evict: a full set gives up the entry that ends first. Else only a proof for this connection may
 * displace one, and others are refused: for callers whose token was good. */
cpn_holders *cpn_holders_new(unsigned sets, bool evict);
void cpn_holders_free(cpn_holders *h);

/* All borrowed. */
typedef struct cpn_holder_ask {
    cpn_view proof;          /* of the request's DPoP field; empty: none */
    cpn_view method, path;   /* of the request; without query */
    const char *host;        /* of public_url, as in a Host header */
    cpn_view token;          /* the access token that came along; empty: none */
    const cpn_thumb *expect; /* the key that the token names; NULL: any */
    cpn_view exporter;       /* of the connection; empty: not known */
    int64_t now_s;
} cpn_holder_ask;

/* *key: whose proof it is, unless NOT. err says why not, for the log. */
cpn_held cpn_holder_check(cpn_holders *h, const cpn_holder_ask *ask, cpn_thumb *key, cpn_err *err);

#endif
