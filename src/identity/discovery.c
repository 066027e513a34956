/* Reads a provider's discovery document. */
#include "identity/discovery.h"

#include "codec/json.h"
#include "codec/jwt.h"
#include "codec/url.h"

static cpn_rc
read_endpoint(const json_t *j, const char *name, char out[CPN_ENDPOINT_SIZE], cpn_err *err)
{
    const json_t *v = json_object_get(j, name);
    cpn_view text = { (const uint8_t *)json_string_value(v), json_string_length(v) }, rest;
    cpn_url url;

    if (!json_is_string(v) || !cpn_view_copy(text, out, CPN_ENDPOINT_SIZE))
        return cpn_fail(err, CPN_INVALID, "%s is missing or over 511 bytes", name);
    if (cpn_url_split(text, &url, &rest, err) != CPN_OK)
        return cpn_ctx(err, CPN_INVALID, "%s", name);
    if (!url.tls)
        return cpn_fail(err, CPN_INVALID, "%s is not https", name);
    return CPN_OK;
}

/* The list holds the word; absent: what the standard takes its absence for. */
static bool
lists(const json_t *j, const char *name, const char *word, bool absent)
{
    const json_t *list = json_object_get(j, name);

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (s && strcmp(s, word) == 0)
            return true;
    }
    return !list && absent;
}

static cpn_rc
check_abilities(const json_t *j, cpn_err *err)
{
    bool signs = false;

    for (int a = CPN_JWT_RS256; a <= CPN_JWT_EDDSA; a++)
        signs |= lists(j, "id_token_signing_alg_values_supported", cpn_jwt_alg_name((cpn_jwt_alg)a),
                       true);
    if (!signs)
        return cpn_fail(err, CPN_INVALID, "it signs with none of RS256 PS256 ES256 ES384 EdDSA");
    if (!lists(j, "response_types_supported", "code", false))
        return cpn_fail(err, CPN_INVALID, "it has no response type code");
    /* Many that know PKCE do not say so. */
    if (!lists(j, "code_challenge_methods_supported", "S256", true))
        return cpn_fail(err, CPN_INVALID, "it has no code challenge S256");
    return CPN_OK;
}

static cpn_rc
read_authentication(cpn_discovery *out, const json_t *j, cpn_err *err)
{
    static const char name[] = "token_endpoint_auth_methods_supported";

    out->basic = lists(j, name, "client_secret_basic", true);
    if (!out->basic && !lists(j, name, "client_secret_post", false) &&
        !lists(j, name, "none", false))
        return cpn_fail(err, CPN_INVALID,
                        "it knows neither client_secret_basic nor client_secret_post");
    return CPN_OK;
}

static cpn_rc
read_document(cpn_discovery *out, const json_t *j, const char *issuer, cpn_err *err)
{
    const char *said = json_string_value(json_object_get(j, "issuer"));
    cpn_rc rc;

    if (!said || strcmp(said, issuer) != 0)
        return cpn_fail(err, CPN_INVALID, "its issuer is not %s", issuer);
    if ((rc = read_endpoint(j, "authorization_endpoint", out->authorization_endpoint, err)) ||
        (rc = read_endpoint(j, "token_endpoint", out->token_endpoint, err)) ||
        (rc = read_endpoint(j, "jwks_uri", out->jwks_uri, err)) || (rc = check_abilities(j, err)) ||
        (rc = read_authentication(out, j, err)))
        return rc;
    out->names_issuer =
        json_is_true(json_object_get(j, "authorization_response_iss_parameter_supported"));
    return CPN_OK;
}

cpn_rc
cpn_discovery_read(cpn_discovery *out, cpn_view text, const char *issuer, cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *j = NULL;
    cpn_rc rc;

    *out = (cpn_discovery){ .basic = false };
    if (cpn_json_load_object(&j, text, CPN_DISCOVERY_TEXT_MAX, CPN_DISCOVERY_NAMES_MAX, err) !=
            CPN_OK ||
        (rc = read_document(out, j, issuer, err)) != CPN_OK) {
        *out = (cpn_discovery){ .basic = false };
        return cpn_ctx(err, CPN_INVALID, "the provider's description");
    }
    return CPN_OK;
}
