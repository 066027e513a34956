/* The embedded authority: opens its key and tenant, signs tokens, publishes its documents. */
#include "identity/identity.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec/b64url.h"
#include "codec/json.h"
#include "codec/jwt.h"
#include "identity/identity_core.h"
#include "model/resource.h"
#include "store/private_file.h"

#define TENANT_VALUE "tenant"

/* ---- open and close ---- */

static cpn_rc
read_tenant(cpn_identity *i, cpn_err *err)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf text = { .max = CPN_UUID_TEXT - 1 };
    cpn_uuid id;
    cpn_rc rc = cpn_store_value(i->store, TENANT_VALUE, &text, err);

    if (rc != CPN_OK)
        return rc;
    if (!cpn_uuid_parse(&id, cpn_buf_view(&text)))
        return cpn_fail(err, CPN_E_STORE, "the stored tenant is not a GUID");
    cpn_uuid_text(&id, i->tenant);
    return CPN_OK;
}

/* At first start. Another node of a fleet may be doing the same: the first one wins. */
static cpn_rc
open_tenant(cpn_identity *i, cpn_err *err)
{
    cpn_batch *b;
    cpn_uuid id;
    cpn_rc rc = read_tenant(i, err);

    if (rc != CPN_NOT_FOUND)
        return rc;
    cpn_uuid_new(&id);
    cpn_uuid_text(&id, i->tenant);
    b = cpn_batch_new();
    cpn_batch_expect_value(b, TENANT_VALUE, NULL);
    cpn_batch_value(b, TENANT_VALUE, cpn_view_str(i->tenant));
    rc = cpn_store_commit_wait(i->store, b, err);
    return rc == CPN_EXISTS ? read_tenant(i, err) : rc;
}

static cpn_rc
set_options(cpn_identity *i, const cpn_identity_options *o, cpn_err *err)
{
    cpn_view url = cpn_view_str(o->public_url);

    while (url.n && url.p[url.n - 1] == '/')
        url.n--;
    if (!cpn_view_starts(url, "https://") ||
        !cpn_view_copy(url, i->public_url, sizeof(i->public_url)))
        return cpn_fail(err, CPN_E_CONF, "public_url must be https://… of at most %d bytes",
                        CPN_URL_MAX - 1);
    snprintf(i->issuer, sizeof(i->issuer), "%s/adfs", i->public_url);
    if (!cpn_view_copy(cpn_view_str(o->state_dir), i->state_dir, sizeof(i->state_dir)))
        return cpn_fail(err, CPN_E_CONF, "the state directory's path is too long");
    if (o->access_token_ttl_s <= 0 || o->refresh_token_ttl_s <= 0)
        return cpn_fail(err, CPN_E_CONF, "token lifetimes must be more than 0 s");
    i->access_token_ttl_s = o->access_token_ttl_s;
    i->refresh_token_ttl_s = o->refresh_token_ttl_s;
    return CPN_OK;
}

static cpn_rc
open_all(cpn_identity *i, const cpn_identity_options *o, cpn_err *err)
{
    char path[PATH_MAX];
    cpn_rc rc = set_options(i, o, err);

    if (rc != CPN_OK)
        return rc;
    snprintf(path, sizeof(path), "%s/token-key.pem", i->state_dir);
    if ((rc = cpn_private_dir_check(path, err)) != CPN_OK ||
        (rc = cpn_token_key_open(&i->key, path, err)) != CPN_OK ||
        (rc = open_tenant(i, err)) != CPN_OK)
        return cpn_ctx(err, rc, "opening the identity provider");
    return CPN_OK;
}

cpn_rc
cpn_identity_open(cpn_identity **out, uv_loop_t *loop, cpn_store *store,
                  const cpn_identity_options *o, cpn_err *err)
{
    cpn_identity *i = cpn_xcalloc(1, sizeof(*i));
    cpn_rc rc;

    i->store = store;
    i->memo = cpn_memo_new();
    i->credentials = cpn_credentials_new(loop, o->password_memory_kib);
    i->enrolment.tty_fd = -1;
    if ((rc = open_all(i, o, err)) != CPN_OK) {
        cpn_identity_free(i);
        return rc;
    }
    *out = i;
    return CPN_OK;
}

void
cpn_identity_lifetimes(cpn_identity *i, int64_t access_token_s, int64_t refresh_token_s)
{
    i->access_token_ttl_s = access_token_s;
    i->refresh_token_ttl_s = refresh_token_s;
}

void
cpn_identity_free(cpn_identity *i)
{
    if (!i)
        return;
    cpn_token_key_close(&i->key);
    cpn_memo_free(i->memo);
    cpn_credentials_free(i->credentials);
    explicit_bzero(&i->enrolment, sizeof(i->enrolment));
    free(i);
}

const char *
cpn_identity_tenant(const cpn_identity *i)
{
    return i->tenant;
}

const char *
cpn_identity_issuer(const cpn_identity *i)
{
    return i->issuer;
}

/* ---- tokens ---- */

/* Add a signed token to out as member `name`. */
static cpn_rc
add_token(cpn_identity *i, const json_t *claims, const char *name, json_t *out, cpn_err *err)
{
    CPN_AUTO(cpn_json_auto)
    json_t *header = json_pack("{s:s,s:s,s:s}", "alg", "ES256", "typ", "JWT", "kid", i->key.kid);
    char token[8192];
    uint8_t signature[CPN_ES256_BYTES];
    cpn_rc rc;

    if (!header || !claims)
        return cpn_fail(err, CPN_E_NOMEM, "signing a token");
    if (cpn_jwt_compose(header, claims, token, sizeof(token)) != CPN_OK)
        return cpn_fail(err, CPN_E_CRYPTO, "the token is too long");
    if ((rc = cpn_token_key_sign(&i->key, cpn_view_str(token), signature, err)) != CPN_OK)
        return rc;
    if (cpn_jwt_seal(token, sizeof(token), (cpn_view){ signature, sizeof(signature) }) != CPN_OK)
        return cpn_fail(err, CPN_E_CRYPTO, "the token is too long");
    rc = json_object_set_new(out, name, json_string(token)) == 0
             ? CPN_OK
             : cpn_fail(err, CPN_E_NOMEM, "signing a token");
    explicit_bzero(token, sizeof(token));
    return rc;
}

/* The claims that every token of ours has. */
static json_t *
common_claims(const cpn_identity *i, const cpn_principal *who, const char *audience, int64_t now_s)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I}", "iss", i->issuer, "aud", audience,
                     "sub", who->object_id, "oid", who->object_id, "tid", i->tenant, "ver", "1.0",
                     "iat", (json_int_t)now_s, "nbf", (json_int_t)now_s, "exp",
                     (json_int_t)(now_s + i->access_token_ttl_s));
}

static int
set_str(json_t *claims, const char *name, const char *value)
{
    return value && *value ? json_object_set_new(claims, name, json_string(value)) : 0;
}

/* RFC 7800 3, RFC 9449 6. */
static int
set_key(json_t *claims, const cpn_thumb *key)
{
    char text[CPN_THUMB_TEXT];

    if (!key->set)
        return 0;
    return json_object_set_new(claims, "cnf", json_pack("{s:s}", "jkt", cpn_thumb_text(key, text)));
}

cpn_rc
cpn_identity_issue(cpn_identity *i, const struct cpn_principal *who, const cpn_token_facts *facts,
                   int64_t now_s, json_t *out, cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *claims = common_claims(i, who, i->public_url, now_s);
    bool service = who->kind == CPN_PRINCIPAL_SERVICE;
    char id[CPN_UUID_TEXT], expires_on[24];
    cpn_uuid uuid;
    cpn_rc rc;

    if (who->kind != CPN_PRINCIPAL_USER && !service)
        return cpn_fail(err, CPN_E_CRYPTO, "only users and service principals get tokens");
    cpn_uuid_new(&uuid);
    if (!claims || set_str(claims, "idtyp", service ? "app" : "user") < 0 ||
        set_str(claims, "jti", cpn_uuid_text(&uuid, id)) < 0 ||
        set_str(claims, "appid", service ? who->app_id : NULL) < 0 ||
        set_str(claims, "upn", service ? NULL : who->name) < 0 ||
        set_key(claims, &facts->key) < 0 ||
        json_object_set_new(claims, "policy_epoch", json_integer((json_int_t)facts->epoch)) < 0)
        return cpn_fail(err, CPN_E_NOMEM, "signing a token");
    if ((rc = add_token(i, claims, "access_token", out, err)) != CPN_OK)
        return rc;
    snprintf(expires_on, sizeof(expires_on), "%lld", (long long)(now_s + i->access_token_ttl_s));
    if (json_object_set_new(out, "token_type", json_string(facts->key.set ? "DPoP" : "Bearer")) <
            0 ||
        json_object_set_new(out, "expires_in", json_integer(i->access_token_ttl_s)) < 0 ||
        json_object_set_new(out, "expires_on", json_string(expires_on)) < 0 ||
        json_object_set_new(out, "resource", json_string(i->public_url)) < 0)
        return cpn_fail(err, CPN_E_NOMEM, "signing a token");
    return CPN_OK;
}

static cpn_rc
add_client_info(const cpn_identity *i, const cpn_principal *who, json_t *out, cpn_err *err)
{
    char plain[160], text[CPN_B64_SIZE(sizeof(plain))];
    int n = snprintf(plain, sizeof(plain), "{\"uid\":\"%s\",\"utid\":\"%s\"}", who->object_id,
                     i->tenant);

    if (n < 0 || (size_t)n >= sizeof(plain) ||
        !cpn_b64url_encode((cpn_view){ (uint8_t *)plain, (size_t)n }, text, sizeof(text)) ||
        json_object_set_new(out, "client_info", json_string(text)) < 0)
        return cpn_fail(err, CPN_E_NOMEM, "client_info");
    return CPN_OK;
}

cpn_rc
cpn_identity_issue_id(cpn_identity *i, const struct cpn_principal *who, const cpn_id_facts *facts,
                      int64_t now_s, json_t *out, cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *claims = common_claims(i, who, facts->client_id, now_s);
    cpn_rc rc;

    if (!claims || set_str(claims, "upn", who->name) < 0 ||
        set_str(claims, "preferred_username", who->name) < 0 ||
        set_str(claims, "name", who->name) < 0 || set_str(claims, "nonce", facts->nonce) < 0)
        return cpn_fail(err, CPN_E_NOMEM, "signing a token");
    if ((rc = add_token(i, claims, "id_token", out, err)) != CPN_OK)
        return rc;
    return add_client_info(i, who, out, err);
}

/* ---- public documents ---- */

/* The endpoints of one authority: below issuer, or below {public_url}/{tenant}. */
typedef struct endpoint {
    const char *name, *adfs, *tenant;
} endpoint;

static const endpoint endpoints[] = {
    { "authorization_endpoint", "/oauth2/authorize", "/oauth2/v2.0/authorize" },
    { "token_endpoint", "/oauth2/token", "/oauth2/v2.0/token" },
    { "revocation_endpoint", "/oauth2/revoke", "/oauth2/v2.0/revoke" },
    { "device_authorization_endpoint", "/oauth2/devicecode", "/oauth2/v2.0/devicecode" },
    { "jwks_uri", "/discovery/keys", "/discovery/v2.0/keys" },
};

static int
set_endpoint(json_t *out, const endpoint *e, const cpn_identity *i, const char *tenant)
{
    return json_object_set_new(out, e->name,
                               tenant ? json_sprintf("%s/%s%s", i->public_url, tenant, e->tenant)
                                      : json_sprintf("%s%s", i->issuer, e->adfs));
}

static int
set_words(json_t *out, const char *name, const char *words)
{
    json_t *list = json_array();
    cpn_view rest = cpn_view_str(words), word;
    bool more = true;

    while (more) {
        more = cpn_view_cut(rest, ' ', &word, &rest);
        json_array_append_new(list, json_stringn((const char *)word.p, word.n));
    }
    return json_object_set_new(out, name, list);
}

json_t *
cpn_identity_discovery(const cpn_identity *i, const char *tenant)
{
    static const struct {
        const char *name, *words;
    } lists[] = {
        { "response_types_supported", "code" },
        { "response_modes_supported", "query form_post" },
        { "subject_types_supported", "public" },
        { "id_token_signing_alg_values_supported", "ES256" },
        { "token_endpoint_auth_methods_supported", "client_secret_post client_secret_basic none" },
        { "grant_types_supported",
          "authorization_code urn:ietf:params:oauth:grant-type:device_code refresh_token password "
          "client_credentials" },
        { "code_challenge_methods_supported", "S256" },
        { "dpop_signing_alg_values_supported", "EdDSA" },
        { "scopes_supported", "openid profile offline_access user_impersonation" },
        { "claims_supported", "iss aud sub oid tid upn iat nbf exp" },
    };
    CPN_AUTO(cpn_json_auto)
    json_t *d = json_pack("{s:s,s:s}", "issuer", i->issuer, "tenant", i->tenant);

    for (size_t k = 0; d && k < CPN_COUNT(lists); k++)
        if (set_words(d, lists[k].name, lists[k].words) < 0)
            return NULL;
    for (size_t k = 0; d && k < CPN_COUNT(endpoints); k++)
        if (set_endpoint(d, &endpoints[k], i, tenant) < 0)
            return NULL;
    return cpn_steal(&d);
}

bool
cpn_identity_is_tenant(const cpn_identity *i, const char *tenant)
{
    cpn_view t = cpn_view_str(tenant);

    return cpn_view_is_nocase(t, i->tenant) || cpn_view_is_nocase(t, "organizations") ||
           cpn_view_is_nocase(t, "common");
}

json_t *
cpn_identity_jwks(const cpn_identity *i)
{
    return json_pack("{s:[{s:s,s:s,s:s,s:s,s:s,s:s,s:s}]}", "keys", "kty", "EC", "crv", "P-256",
                     "use", "sig", "alg", "ES256", "kid", i->key.kid, "x", i->key.x, "y", i->key.y);
}
