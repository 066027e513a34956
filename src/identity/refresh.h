/* identity/refresh.h -- refresh tokens: opaque, 256 bits, stored as SHA-256, good until
 * CPN_REFRESH_GRACE_S after their first use.
 *
 * Each use hands out a successor; all successors of one sign-in are a family, and end with it, a
 * token's lifetime after it began: then a person signs in again. Within the grace a
 * used token gives further ones, CPN_REFRESH_SUCCESSORS in all: threads and processes of one user
 * share a token file, MSAL's takes no lock, and each of them must go on with what it reads. A used
 * token that comes later was copied by somebody: the family is revoked, and every holder signs in
 * anew.
 *
 * A token with a key keeps it through all its successors.
 *
 * A token also keeps the policy epoch of its sign-in; whether that counts still is the caller's to
 * ask.
 *
 * In the store, as secrets: "refresh" (token → grant, with the count of its uses),
 * "refresh.revoked" (family). */
#ifndef CPN_IDENTITY_REFRESH_H
#define CPN_IDENTITY_REFRESH_H

#include "codec/proof.h"
#include "store/store.h"

#define CPN_REFRESH_TEXT 44 /* 32 bytes as base64url, terminated */
#define CPN_REFRESH_GRACE_S 60
#define CPN_REFRESH_SUCCESSORS 64
#define CPN_CLIENT_ID_MAX 128

/* Whom a token stands for. family: filled by redeem; empty for a new sign-in, whose family may be
 * chosen. */
typedef struct cpn_refresh_grant {
    char object_id[40];
    char client_id[CPN_CLIENT_ID_MAX + 1];
    char family[CPN_UUID_TEXT];
    int64_t began_ms; /* when its first token was issued */
    uint64_t epoch;   /* of policy, when its owner was proved */
    cpn_thumb key;    /* that whoever uses it must prove; not set: none */
    bool rotated;
} cpn_refresh_grant;

/* Add a new token for grant to the batch; token gets its text, for the answer once the batch is
 * committed. A grant that redeem gave keeps its family; ttl_ms counts from the family's begin. */
void cpn_refresh_issue(cpn_batch *b, const cpn_refresh_grant *grant, int64_t now_ms, int64_t ttl_ms,
                       char token[CPN_REFRESH_TEXT]);

/* Nobody can use tokens of this family any more. */
void cpn_refresh_revoke(cpn_batch *b, const char *family, int64_t now_ms);

/* Use a token. done: CPN_OK with its grant; CPN_NOT_FOUND: unknown, used before the grace, expired
 * or revoked; CPN_AGAIN: it has its successors; CPN_LIMIT, CPN_E_STORE. ttl_ms: how long the
 * used token is remembered. Returns CPN_NOT_FOUND (not a token, done is not called) or CPN_LIMIT at
 * once. */
typedef void cpn_refresh_done(void *owner, cpn_rc rc, const cpn_refresh_grant *grant);

typedef struct cpn_refresh_ask {
    cpn_store *store;
    int64_t now_ms, ttl_ms;
    cpn_refresh_done *done;
    void *owner;
    bool look; /* only look: no use is counted */
} cpn_refresh_ask;

cpn_rc cpn_refresh_redeem(const cpn_refresh_ask *ask, cpn_view token) CPN_MUST_CHECK;

#endif
