/* Takes compact signed tokens apart and puts them together; believes nothing. */
#include "codec/jwt.h"

#include "codec/b64url.h"
#include "codec/chars.h"
#include "codec/json.h"

static const char *const algs[] = { [CPN_JWT_RS256] = "RS256",
                                    [CPN_JWT_PS256] = "PS256",
                                    [CPN_JWT_ES256] = "ES256",
                                    [CPN_JWT_ES384] = "ES384",
                                    [CPN_JWT_EDDSA] = "EdDSA" };

const char *
cpn_jwt_alg_name(cpn_jwt_alg alg)
{
    return alg > CPN_JWT_NONE && alg < CPN_COUNT(algs) ? algs[alg] : "none";
}

/* Headers that move the choice of key or the meaning of the bytes to the sender. */
static const char *const refused_names[] = { "jku", "x5u", "jwk", "x5c", "crit", "zip", "b64" };

static cpn_rc
load_part(json_t **out, cpn_view part, cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *j = NULL;
    uint8_t bytes[CPN_B64_BYTES(CPN_JWT_MAX)];
    size_t n = 0;

    *out = NULL;
    if (cpn_b64url_decode(part, bytes, sizeof(bytes), &n) != CPN_OK)
        return cpn_fail(err, CPN_INVALID, "a part of the token is not canonical base64url");
    if (cpn_json_load(&j, (cpn_view){ bytes, n }, sizeof(bytes), CPN_JWT_DEPTH_MAX, err) != CPN_OK)
        return cpn_ctx(err, CPN_INVALID, "a part of the token");
    if (!json_is_object(j) || json_object_size(j) > CPN_JWT_NAMES_MAX)
        return cpn_fail(err, CPN_INVALID, "a part of the token is not an object of <= %d members",
                        CPN_JWT_NAMES_MAX);
    *out = cpn_steal(&j);
    return CPN_OK;
}

/* A short printable string, or absent (then empty). */
static bool
header_text(const json_t *header, const char *name, char *out, size_t size)
{
    const json_t *v = json_object_get(header, name);
    cpn_view text;

    out[0] = '\0';
    if (!v)
        return true;
    if (!json_is_string(v))
        return false;
    text = (cpn_view){ (const uint8_t *)json_string_value(v), json_string_length(v) };
    for (size_t i = 0; i < text.n; i++)
        if (!cpn_is_print(text.p[i]))
            return false;
    return text.n > 0 && cpn_view_copy(text, out, size);
}

static cpn_rc
read_header(cpn_jwt *out, const json_t *header, cpn_err *err)
{
    char alg[8];

    for (size_t i = 0; i < CPN_COUNT(refused_names); i++)
        if (json_object_get(header, refused_names[i]))
            return cpn_fail(err, CPN_INVALID, "the token's header has %s", refused_names[i]);
    if (!header_text(header, "alg", alg, sizeof(alg)) || !alg[0])
        return cpn_fail(err, CPN_INVALID, "the token's algorithm is not one of the list");
    for (size_t i = 1; i < CPN_COUNT(algs); i++)
        if (strcmp(alg, algs[i]) == 0)
            out->alg = (cpn_jwt_alg)i;
    if (out->alg == CPN_JWT_NONE)
        return cpn_fail(err, CPN_INVALID, "the token's algorithm is not one of the list");
    if (!header_text(header, "kid", out->kid, sizeof(out->kid)))
        return cpn_fail(err, CPN_INVALID, "the token's kid is not printable text of <= %d bytes",
                        CPN_JWT_KID_MAX);
    if (!header_text(header, "typ", out->typ, sizeof(out->typ)))
        return cpn_fail(err, CPN_INVALID, "the token's typ is not short printable text");
    return CPN_OK;
}

/* Exactly three non-empty parts. */
static bool
split(cpn_view token, cpn_view part[3])
{
    cpn_view rest;

    return cpn_view_cut(token, '.', &part[0], &rest) && cpn_view_cut(rest, '.', &part[1], &rest) &&
           !cpn_view_cut(rest, '.', &part[2], &rest) && part[0].n && part[1].n && part[2].n;
}

cpn_rc
cpn_jwt_parse(cpn_jwt *out, cpn_view token, cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *header = NULL;
    cpn_view part[3];
    cpn_rc rc;

    *out = (cpn_jwt){ .alg = CPN_JWT_NONE };
    if (token.n > CPN_JWT_MAX)
        return cpn_fail(err, CPN_INVALID, "the token is longer than %d bytes", CPN_JWT_MAX);
    if (!split(token, part))
        return cpn_fail(err, CPN_INVALID, "the token has not exactly three parts");
    if (cpn_b64url_decode(part[2], out->signature, sizeof(out->signature), &out->signature_n) !=
        CPN_OK)
        return cpn_fail(err, CPN_INVALID, "the token's signature is not canonical base64url");
    if ((rc = load_part(&header, part[0], err)) == CPN_OK)
        rc = read_header(out, header, err);
    if (rc != CPN_OK) {
        *out = (cpn_jwt){ .alg = CPN_JWT_NONE };
        return rc;
    }
    out->payload = part[1];
    out->signed_part = (cpn_view){ token.p, part[0].n + 1 + part[1].n };
    return CPN_OK;
}

cpn_rc
cpn_jwt_claims(const cpn_jwt *t, json_t **out, cpn_err *err)
{
    return load_part(out, t->payload, err);
}

/* Append base64url of in to the text in out. */
static cpn_rc
append_b64(char *out, size_t size, cpn_view in)
{
    size_t n = strlen(out);

    return cpn_b64url_encode(in, out + n, size - n) ? CPN_OK : CPN_LIMIT;
}

static cpn_rc
append_dot(char *out, size_t size)
{
    size_t n = strlen(out);

    if (size - n < 2)
        return CPN_LIMIT;
    memcpy(out + n, ".", 2);
    return CPN_OK;
}

cpn_rc
cpn_jwt_compose(const json_t *header, const json_t *claims, char *out, size_t size)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf head = { .max = 1024 };
    CPN_AUTO(cpn_buf_fini) cpn_buf body = { .max = CPN_JWT_MAX };

    if (size == 0 || cpn_json_dump(header, &head) != CPN_OK ||
        cpn_json_dump(claims, &body) != CPN_OK)
        return CPN_LIMIT;
    out[0] = '\0';
    if (append_b64(out, size, cpn_buf_view(&head)) != CPN_OK || append_dot(out, size) != CPN_OK)
        return CPN_LIMIT;
    return append_b64(out, size, cpn_buf_view(&body));
}

cpn_rc
cpn_jwt_seal(char *token, size_t size, cpn_view signature)
{
    return append_dot(token, size) == CPN_OK ? append_b64(token, size, signature) : CPN_LIMIT;
}
