/* Verifies our own access tokens: one algorithm, one key, every claim by type and value. */
#include "codec/digest.h"
#include "codec/json.h"
#include "codec/jwt.h"
#include "identity/claims.h"
#include "identity/identity_core.h"

static cpn_rc
refuse(cpn_reason *why, cpn_err *err, const char *sentence)
{
    *why = CPN_WHY_TOKEN_INVALID;
    return cpn_fail(err, CPN_UNAUTHENTICATED, "%s", sentence);
}

static cpn_rc
check_times(const json_t *claims, int64_t now_s, cpn_claims *out, cpn_reason *why, cpn_err *err)
{
    int64_t nbf, iat;

    if (!cpn_claim_time(claims, "exp", &out->expires_s) || !cpn_claim_time(claims, "nbf", &nbf) ||
        !cpn_claim_time(claims, "iat", &iat))
        return refuse(why, err, "a time of the token is missing or no integer");
    if (nbf > now_s + CPN_CLAIMS_SKEW_S || iat > now_s + CPN_CLAIMS_SKEW_S)
        return refuse(why, err, "the token is from the future");
    if (now_s >= out->expires_s + CPN_CLAIMS_SKEW_S) {
        *why = CPN_WHY_TOKEN_EXPIRED;
        return cpn_fail(err, CPN_UNAUTHENTICATED, "the token has expired");
    }
    return CPN_OK;
}

/* A GUID in our one spelling. */
static bool
claim_guid(const json_t *claims, const char *name, char *out, size_t size)
{
    const json_t *v = json_object_get(claims, name);
    cpn_view text = { (const uint8_t *)json_string_value(v), json_string_length(v) };
    char canonical[CPN_UUID_TEXT];
    cpn_uuid id;

    return json_is_string(v) && cpn_uuid_parse(&id, text) &&
           cpn_view_is(text, cpn_uuid_text(&id, canonical)) && cpn_view_copy(text, out, size);
}

/* A confirmation that is not understood must not count for none. */
static bool
read_key(const json_t *claims, cpn_thumb *out)
{
    const json_t *cnf = json_object_get(claims, "cnf"), *jkt = json_object_get(cnf, "jkt");

    return !cnf || (json_object_size(cnf) == 1 &&
                    cpn_thumb_read(out, (cpn_view){ (const uint8_t *)json_string_value(jkt),
                                                    json_string_length(jkt) }) == CPN_OK);
}

/* A token that was signed before there was this claim counts as of the first policy. */
static bool
read_epoch(const json_t *claims, uint64_t *out)
{
    const json_t *v = json_object_get(claims, "policy_epoch");

    *out = (uint64_t)json_integer_value(v);
    return !v || (json_is_integer(v) && json_integer_value(v) >= 0);
}

static cpn_rc
check_claims(const cpn_identity *i, const json_t *claims, cpn_claims *out, cpn_reason *why,
             cpn_err *err)
{
    if (!cpn_claim_is(claims, "iss", i->issuer))
        return refuse(why, err, "the token has another issuer");
    if (!cpn_claim_audience(claims, i->public_url))
        return refuse(why, err, "the token is for somebody else");
    if (!cpn_claim_is(claims, "tid", i->tenant) || !cpn_claim_is(claims, "ver", "1.0"))
        return refuse(why, err, "the token is of another tenant or version");
    /* An id_token has no idtyp: it is never an access token. */
    out->service = cpn_claim_is(claims, "idtyp", "app");
    if (!out->service && !cpn_claim_is(claims, "idtyp", "user"))
        return refuse(why, err, "it is not an access token");
    if (!claim_guid(claims, "oid", out->object_id, sizeof(out->object_id)) ||
        !cpn_claim_is(claims, "sub", out->object_id))
        return refuse(why, err, "the token's subject is not an object id");
    if (!claim_guid(claims, "jti", out->token_id, sizeof(out->token_id)))
        return refuse(why, err, "the token has no id");
    if (!read_key(claims, &out->key))
        return refuse(why, err, "the token's confirmation is not a key");
    if (!read_epoch(claims, &out->epoch))
        return refuse(why, err, "the token's policy epoch is none");
    return CPN_OK;
}

static cpn_rc
verify_fresh(const cpn_identity *i, cpn_view token, int64_t now_s, cpn_claims *out, cpn_reason *why,
             cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *claims = NULL;
    cpn_jwt t;
    cpn_rc rc;

    *why = CPN_WHY_TOKEN_INVALID;
    if (cpn_jwt_parse(&t, token, err) != CPN_OK)
        return cpn_ctx(err, CPN_UNAUTHENTICATED, "access token");
    if (t.alg != CPN_JWT_ES256)
        return refuse(why, err, "the token's algorithm is not ES256");
    if (strcmp(t.kid, i->key.kid) != 0)
        return refuse(why, err, "the token names an unknown key");
    if (!cpn_token_key_verify(&i->key, t.signed_part, (cpn_view){ t.signature, t.signature_n }))
        return refuse(why, err, "the token's signature is wrong");
    if (cpn_jwt_claims(&t, &claims, err) != CPN_OK)
        return cpn_ctx(err, CPN_UNAUTHENTICATED, "access token");
    if ((rc = check_claims(i, claims, out, why, err)) != CPN_OK)
        return rc;
    return check_times(claims, now_s, out, why, err);
}

cpn_rc
cpn_identity_verify(cpn_identity *i, cpn_view token, int64_t now_s, cpn_claims *out,
                    cpn_reason *why, cpn_err *err)
{
    cpn_claims claims = { 0 };
    uint8_t key[CPN_SHA256_BYTES];
    cpn_rc rc;

    *out = claims;
    *why = CPN_WHY_TOKEN_INVALID;
    if (token.n > CPN_JWT_MAX)
        return refuse(why, err, "the token is too long");
    cpn_sha256(token, key);
    if (cpn_memo_get(i->memo, key, &claims)) {
        if (now_s >= claims.expires_s + CPN_CLAIMS_SKEW_S) {
            *why = CPN_WHY_TOKEN_EXPIRED;
            return cpn_fail(err, CPN_UNAUTHENTICATED, "the token has expired");
        }
    } else {
        if ((rc = verify_fresh(i, token, now_s, &claims, why, err)) != CPN_OK)
            return rc;
        cpn_memo_put(i->memo, key, &claims, now_s);
    }
    *out = claims;
    *why = CPN_WHY_NONE;
    return CPN_OK;
}

void
cpn_identity_forget_all(cpn_identity *i)
{
    cpn_memo_clear(i->memo);
}
