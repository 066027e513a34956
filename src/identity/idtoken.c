/* Verifies ID tokens of providers. */
#include "identity/idtoken.h"

#include <openssl/evp.h>

#include "base/secret.h"
#include "codec/b64url.h"
#include "codec/chars.h"
#include "codec/json.h"
#include "identity/claims.h"

static cpn_rc
refuse(cpn_err *err, const char *sentence)
{
    return cpn_fail(err, CPN_UNAUTHENTICATED, "%s", sentence);
}

static cpn_view
claim_text(const json_t *claims, const char *name)
{
    const json_t *v = json_object_get(claims, name);

    return (cpn_view){ (const uint8_t *)json_string_value(v), json_string_length(v) };
}

static bool
is_ascii_print(cpn_view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < 0x20 || v.p[i] > 0x7e)
            return false;
    return v.n > 0;
}

/* ---- claims ---- */

static cpn_rc
check_parties(const json_t *claims, const cpn_idtoken_rules *r, cpn_err *err)
{
    cpn_view nonce = claim_text(claims, "nonce");

    if (!cpn_claim_is(claims, "iss", r->issuer))
        return refuse(err, "the ID token has another issuer");
    if (!cpn_claim_audience(claims, r->client_id))
        return refuse(err, "the ID token is not for us alone");
    if (json_object_get(claims, "azp") && !cpn_claim_is(claims, "azp", r->client_id))
        return refuse(err, "the ID token was issued to another client (azp)");
    if (!r->nonce || !r->nonce[0] || !cpn_ct_eq(nonce, cpn_view_str(r->nonce)))
        return refuse(err, "the ID token's nonce is not the one sent");
    return CPN_OK;
}

static cpn_rc
check_times(const json_t *claims, const cpn_idtoken_rules *r, cpn_idtoken *out, cpn_err *err)
{
    int64_t iat, nbf;

    if (!cpn_claim_time(claims, "exp", &out->expires_s) || !cpn_claim_time(claims, "iat", &iat))
        return refuse(err, "a time of the ID token is missing or no integer");
    if (json_object_get(claims, "nbf") && !cpn_claim_time(claims, "nbf", &nbf))
        return refuse(err, "nbf of the ID token is no integer");
    if (!json_object_get(claims, "nbf"))
        nbf = iat;
    if (iat > r->now_s + CPN_CLAIMS_SKEW_S || nbf > r->now_s + CPN_CLAIMS_SKEW_S)
        return refuse(err, "the ID token is from the future: compare both clocks");
    if (r->now_s >= out->expires_s + CPN_CLAIMS_SKEW_S)
        return refuse(err, "the ID token has expired: compare both clocks");
    return CPN_OK;
}

static const EVP_MD *
digest_of(cpn_jwt_alg alg)
{
    return alg == CPN_JWT_ES384 ? EVP_sha384() : alg == CPN_JWT_EDDSA ? EVP_sha512() : EVP_sha256();
}

/* The left half of the access token's digest (3.1.3.6). */
static cpn_rc
check_at_hash(const json_t *claims, const cpn_idtoken_rules *r, cpn_jwt_alg alg, cpn_err *err)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    char want[CPN_B64_SIZE(EVP_MAX_MD_SIZE)];
    unsigned n = 0;

    if (!json_object_get(claims, "at_hash") || r->access_token.n == 0)
        return CPN_OK;
    if (EVP_Digest(r->access_token.p, r->access_token.n, digest, &n, digest_of(alg), NULL) != 1 ||
        !cpn_b64url_encode((cpn_view){ digest, n / 2 }, want, sizeof(want)))
        return cpn_fail(err, CPN_E_CRYPTO, "digest of an access token");
    if (!cpn_ct_eq(claim_text(claims, "at_hash"), cpn_view_str(want)))
        return refuse(err, "the ID token is of another access token (at_hash)");
    return CPN_OK;
}

static cpn_rc
read_group(const json_t *group, json_t *out, cpn_err *err)
{
    cpn_view text = { (const uint8_t *)json_string_value(group), json_string_length(group) };

    if (!json_is_string(group) || text.n == 0 || text.n > CPN_EXTERNAL_GROUP_BYTES ||
        !cpn_is_plain(text))
        return refuse(err, "a group in the ID token is not plain text of at most 256 bytes");
    return json_array_append_new(out, json_stringn((const char *)text.p, text.n)) == 0
               ? CPN_OK
               : cpn_fail(err, CPN_E_NOMEM, "groups");
}

/* The provider said that it left claims out and where to ask for them (5.6.2). */
static bool
is_elsewhere(const json_t *claims, const char *name)
{
    return json_object_get(json_object_get(claims, "_claim_names"), name) != NULL;
}

static cpn_rc
read_groups(const json_t *claims, const cpn_idtoken_rules *r, cpn_idtoken *out, cpn_err *err)
{
    const json_t *groups = r->groups_claim[0] ? json_object_get(claims, r->groups_claim) : NULL;
    cpn_rc rc = CPN_OK;

    if (!(out->groups = json_array()))
        return cpn_fail(err, CPN_E_NOMEM, "groups");
    if (r->groups_claim[0] && is_elsewhere(claims, r->groups_claim))
        return refuse(err, "the provider left the groups out of the ID token: too many of them");
    if (!groups)
        return CPN_OK;
    if (json_is_string(groups))
        return read_group(groups, out->groups, err);
    if (!json_is_array(groups) || json_array_size(groups) > CPN_EXTERNAL_GROUPS_MAX)
        return refuse(err, "the groups in the ID token are not a list of at most 512");
    for (size_t i = 0; i < json_array_size(groups) && rc == CPN_OK; i++)
        rc = read_group(json_array_get(groups, i), out->groups, err);
    return rc;
}

static cpn_rc
read_person(const json_t *claims, const cpn_idtoken_rules *r, cpn_idtoken *out, cpn_err *err)
{
    cpn_view sub = claim_text(claims, "sub"), name;

    if (!is_ascii_print(sub) || !cpn_view_copy(sub, out->subject, sizeof(out->subject)))
        return refuse(err, "the ID token's sub is not printable ASCII of 1 to 255 bytes");
    name = r->name_claim[0] ? claim_text(claims, r->name_claim) : (cpn_view){ 0 };
    if (!cpn_is_plain(name) || !cpn_view_copy(name, out->name, sizeof(out->name)))
        out->name[0] = '\0';
    return read_groups(claims, r, out, err);
}

/* ---- the token ---- */

static cpn_rc
check_signature(const cpn_jwt *t, const cpn_jwks *keys, cpn_err *err)
{
    const cpn_jwk *k;

    /* An access token of RFC 9068 says at+jwt, a logout token logout+jwt. */
    if (t->typ[0] && !cpn_view_is_nocase(cpn_view_str(t->typ), "JWT"))
        return refuse(err, "the header's typ is not that of an ID token");
    if (!(k = cpn_jwks_find(keys, t->alg, t->kid)))
        return cpn_fail(err, CPN_NOT_FOUND, "no key of the provider fits kid '%s' and %s", t->kid,
                        cpn_jwt_alg_name(t->alg));
    if (!cpn_jwk_verify(k, t))
        return refuse(err, "the ID token's signature is wrong");
    return CPN_OK;
}

static cpn_rc
verify(cpn_idtoken *out, cpn_view token, const cpn_jwks *keys, const cpn_idtoken_rules *r,
       cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *claims = NULL;
    cpn_jwt t;
    cpn_rc rc;

    if (cpn_jwt_parse(&t, token, err) != CPN_OK)
        return cpn_ctx(err, CPN_UNAUTHENTICATED, "ID token");
    if ((rc = check_signature(&t, keys, err)) != CPN_OK)
        return rc;
    if (cpn_jwt_claims(&t, &claims, err) != CPN_OK)
        return cpn_ctx(err, CPN_UNAUTHENTICATED, "ID token");
    if ((rc = check_parties(claims, r, err)) != CPN_OK ||
        (rc = check_times(claims, r, out, err)) != CPN_OK ||
        (rc = check_at_hash(claims, r, t.alg, err)) != CPN_OK)
        return rc;
    return read_person(claims, r, out, err);
}

cpn_rc
cpn_idtoken_verify(cpn_idtoken *out, cpn_view token, const cpn_jwks *keys,
                   const cpn_idtoken_rules *rules, cpn_err *err)
{
    cpn_rc rc;

    *out = (cpn_idtoken){ .groups = NULL };
    if ((rc = verify(out, token, keys, rules, err)) != CPN_OK)
        cpn_idtoken_fini(out);
    return rc;
}

void
cpn_idtoken_fini(cpn_idtoken *t)
{
    json_decref(t->groups);
    *t = (cpn_idtoken){ .groups = NULL };
}
