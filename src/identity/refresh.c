/* Refresh tokens that rotate, and families that end when a used one comes again too late. */
#include "identity/refresh.h"

#include <stdlib.h>

#include "base/secret.h"
#include "codec/b64url.h"
#include "codec/digest.h"
#include "codec/json.h"

#define KIND_TOKEN "refresh"
#define KIND_REVOKED "refresh.revoked"
/* More than refresh_token_ttl can be, since it may have been more than it is when a token was
 * given.
 */
#define TTL_MAX_MS (91ll * 86400 * 1000)

/* ---- issuing ---- */

static void
put_json(cpn_batch *b, const char *kind, const uint8_t key[32], json_t *body, int64_t expires_ms)
{
    CPN_AUTO(cpn_json_auto) json_t *owned = body;
    CPN_AUTO(cpn_buf_fini) cpn_buf text = { .max = 1024 };

    if (!owned || cpn_json_dump(owned, &text) != CPN_OK)
        abort(); /* bounded strings of ours: only memory can be missing */
    cpn_batch_secret_put(b, kind, key, cpn_buf_view(&text), expires_ms);
}

void
cpn_refresh_issue(cpn_batch *b, const cpn_refresh_grant *grant, int64_t now_ms, int64_t ttl_ms,
                  char token[CPN_REFRESH_TEXT])
{
    uint8_t secret[32], key[32];
    char family[CPN_UUID_TEXT], jkt[CPN_THUMB_TEXT];
    int64_t began_ms = grant->rotated ? grant->began_ms : now_ms;
    cpn_uuid fresh;

    cpn_uuid_new(&fresh);
    cpn_uuid_text(&fresh, family);
    if (grant->family[0])
        memcpy(family, grant->family, sizeof(family));
    cpn_random(secret, sizeof(secret));
    if (!cpn_b64url_encode((cpn_view){ secret, sizeof(secret) }, token, CPN_B64_SIZE(32)))
        abort();
    explicit_bzero(secret, sizeof(secret));
    cpn_sha256(cpn_view_str(token), key);
    put_json(b, KIND_TOKEN, key,
             json_pack("{s:s,s:s,s:s,s:I,s:I,s:s*}", "objectId", grant->object_id, "clientId",
                       grant->client_id, "family", family, "beganMs", (json_int_t)began_ms, "epoch",
                       (json_int_t)grant->epoch, "jkt",
                       grant->key.set ? cpn_thumb_text(&grant->key, jkt) : NULL),
             began_ms + ttl_ms);
}

void
cpn_refresh_revoke(cpn_batch *b, const char *family, int64_t now_ms)
{
    uint8_t key[32];

    cpn_sha256(cpn_view_str(family), key);
    cpn_batch_secret_put(b, KIND_REVOKED, key, CPN_VIEW_LIT("{}"), now_ms + TTL_MAX_MS);
}

/* ---- redeeming ---- */

typedef struct redemption {
    cpn_refresh_ask ask;
    cpn_refresh_grant grant;
} redemption;

static void
finish(redemption *r, cpn_rc rc)
{
    cpn_refresh_done *done = r->ask.done;
    void *owner = r->ask.owner;
    cpn_refresh_grant grant = r->grant;

    free(r);
    done(owner, rc, rc == CPN_OK ? &grant : NULL);
}

static bool
read_str(const json_t *j, const char *name, char *out, size_t size)
{
    return cpn_view_copy(cpn_view_str(json_string_value(json_object_get(j, name))), out, size) &&
           out[0];
}

/* Absent, or a thumbprint. */
static bool
read_key(const json_t *j, cpn_thumb *out)
{
    const char *jkt = json_string_value(json_object_get(j, "jkt"));

    return !json_object_get(j, "jkt") || cpn_thumb_read(out, cpn_view_str(jkt)) == CPN_OK;
}

/* The token was there; is its family alive? */
static void
revoked_read(void *owner, cpn_rc rc, cpn_view body, const cpn_err *err)
{
    (void)body;
    (void)err;
    finish(owner, rc == CPN_OK ? CPN_NOT_FOUND : rc == CPN_NOT_FOUND ? CPN_OK : rc);
}

static void
revoked(void *owner, cpn_rc rc, const cpn_err *err)
{
    (void)err;
    finish(owner, rc == CPN_OK ? CPN_NOT_FOUND : rc);
}

/* It was used before, and not just now: somebody has a copy. */
static cpn_rc
end_family(redemption *r)
{
    cpn_batch *b = cpn_batch_new();

    cpn_refresh_revoke(b, r->grant.family, r->ask.now_ms);
    return cpn_store_commit(r->ask.store, b, revoked, r);
}

static bool
read_grant(const json_t *j, cpn_refresh_grant *g)
{
    g->rotated = true;
    g->began_ms = json_integer_value(json_object_get(j, "beganMs"));
    g->epoch = (uint64_t)json_integer_value(json_object_get(j, "epoch"));
    return read_str(j, "objectId", g->object_id, sizeof(g->object_id)) &&
           read_str(j, "clientId", g->client_id, sizeof(g->client_id)) && read_key(j, &g->key);
}

/* How often it was used before this, and when first, decides. */
static cpn_rc
judge(redemption *r, const json_t *j)
{
    const json_t *grant = json_object_get(j, "body");
    int64_t before = json_integer_value(json_object_get(j, "uses")) - (r->ask.look ? 0 : 1);
    int64_t first_ms = json_integer_value(json_object_get(j, "firstMs"));
    uint8_t key[32];

    if (!read_str(grant, "family", r->grant.family, sizeof(r->grant.family)))
        return CPN_NOT_FOUND;
    if (before > 0 && r->ask.now_ms - first_ms > CPN_REFRESH_GRACE_S * 1000)
        return end_family(r);
    if (before >= CPN_REFRESH_SUCCESSORS)
        return CPN_AGAIN;
    if (!read_grant(grant, &r->grant))
        return CPN_NOT_FOUND;
    cpn_sha256(cpn_view_str(r->grant.family), key);
    return cpn_store_secret_get(r->ask.store, KIND_REVOKED, key, revoked_read, r);
}

static void
token_read(void *owner, cpn_rc rc, cpn_view body, const cpn_err *err)
{
    redemption *r = owner;
    CPN_AUTO(cpn_json_auto) json_t *j = NULL;

    (void)err;
    if (rc == CPN_OK)
        rc = cpn_json_load_object(&j, body, 2048, 8, NULL) == CPN_OK ? judge(r, j) : CPN_NOT_FOUND;
    if (rc != CPN_OK)
        finish(r, rc);
}

cpn_rc
cpn_refresh_redeem(const cpn_refresh_ask *ask, cpn_view token)
{
    uint8_t secret[CPN_B64_BYTES(CPN_REFRESH_TEXT)], key[32];
    redemption *r;
    size_t n = 0;
    cpn_rc rc;

    if (cpn_b64url_decode(token, secret, sizeof(secret), &n) != CPN_OK || n != 32)
        return CPN_NOT_FOUND;
    explicit_bzero(secret, sizeof(secret));
    r = cpn_xcalloc(1, sizeof(*r));
    r->ask = *ask;
    cpn_sha256(token, key);
    rc = cpn_store_secret_use(ask->store, KIND_TOKEN, key,
                              ask->look ? 0 : ask->now_ms + ask->ttl_ms, token_read, r);
    if (rc != CPN_OK)
        free(r);
    return rc;
}
