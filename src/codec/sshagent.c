/* Reads requests to an SSH agent and writes its answers. */
#include "codec/sshagent.h"

#include "codec/sshwire.h"
#include "codec/usercert.h"

enum { FAILURE = 5, LIST = 11, LISTED = 12, SIGN = 13, SIGNED = 14 };

#define USERAUTH_REQUEST 50
#define SESSION_ID_MAX 64 /* the longest hash of a key exchange */
#define ED25519 "ssh-ed25519"

/* Cut w down to what stands in the message behind its length. */
static cpn_rc
take_frame(cpn_sshwire *w, cpn_err *err)
{
    uint32_t n;

    if (w->rest.n < 4)
        return CPN_AGAIN;
    n = cpn_sshwire_u32(w);
    if (n > CPN_AGENT_FRAME_MAX)
        return cpn_fail(err, CPN_LIMIT, "a message of %u bytes", (unsigned)n);
    if (n == 0)
        return cpn_fail(err, CPN_E_PROTO, "an empty message");
    if (w->rest.n < n)
        return CPN_AGAIN;
    w->rest.n = n;
    return CPN_OK;
}

cpn_rc
cpn_agent_parse(cpn_view in, cpn_agent_ask *out, size_t *used, cpn_err *err)
{
    cpn_sshwire w = { .rest = in };
    uint8_t type;
    size_t n;
    cpn_rc rc;

    *out = (cpn_agent_ask){ 0 };
    *used = 0;
    if ((rc = take_frame(&w, err)) != CPN_OK)
        return rc;
    n = w.rest.n;
    type = cpn_sshwire_u8(&w);
    if (type == SIGN) {
        out->key = cpn_sshwire_string(&w);
        out->what = cpn_sshwire_string(&w);
        (void)cpn_sshwire_u32(&w); /* flags choose a hash for RSA */
    }
    if ((type == SIGN || type == LIST) && !cpn_sshwire_done(&w)) {
        *out = (cpn_agent_ask){ 0 };
        return cpn_fail(err, CPN_E_PROTO, "a malformed message of type %u", (unsigned)type);
    }
    out->kind = type == SIGN ? CPN_AGENT_SIGN : type == LIST ? CPN_AGENT_LIST : CPN_AGENT_OTHER;
    *used = n + 4;
    return CPN_OK;
}

bool
cpn_agent_is_sign_in(cpn_view what, cpn_view key)
{
    cpn_sshwire w = { .rest = what };
    cpn_view session = cpn_sshwire_string(&w), service, method, algorithm, with;
    bool bound;
    uint8_t type = cpn_sshwire_u8(&w), has_signature;

    (void)cpn_sshwire_string(&w); /* user */
    service = cpn_sshwire_string(&w);
    method = cpn_sshwire_string(&w);
    has_signature = cpn_sshwire_u8(&w);
    algorithm = cpn_sshwire_string(&w);
    with = cpn_sshwire_string(&w);
    bound = cpn_view_is(method, "publickey-hostbound-v00@openssh.com");
    if (bound)
        (void)cpn_sshwire_string(&w); /* the host's key */
    return cpn_sshwire_done(&w) && session.n > 0 && session.n <= SESSION_ID_MAX &&
           type == USERAUTH_REQUEST && cpn_view_is(service, "ssh-connection") &&
           (bound || cpn_view_is(method, "publickey")) && has_signature == 1 &&
           cpn_view_is(algorithm, CPN_USERCERT_TYPE) && with.n > 0 && cpn_view_eq(with, key);
}

static cpn_rc
put_head(cpn_buf *out, size_t body, uint8_t type)
{
    cpn_rc rc =
        body < CPN_AGENT_FRAME_MAX ? cpn_sshwire_put_u32(out, (uint32_t)body + 1) : CPN_LIMIT;

    return rc == CPN_OK ? cpn_buf_append(out, (cpn_view){ &type, 1 }) : rc;
}

cpn_rc
cpn_agent_put_failure(cpn_buf *out)
{
    return put_head(out, 0, FAILURE);
}

cpn_rc
cpn_agent_put_list(cpn_buf *out, cpn_view cert, cpn_view comment)
{
    cpn_rc rc = put_head(out, cert.n ? 4 + 4 + cert.n + 4 + comment.n : 4, LISTED);

    if (rc == CPN_OK)
        rc = cpn_sshwire_put_u32(out, cert.n ? 1 : 0);
    if (rc == CPN_OK && cert.n)
        rc = cpn_sshwire_put_string(out, cert);
    if (rc == CPN_OK && cert.n)
        rc = cpn_sshwire_put_string(out, comment);
    return rc;
}

cpn_rc
cpn_agent_put_ask_list(cpn_buf *out)
{
    return put_head(out, 0, LIST);
}

cpn_rc
cpn_agent_read_list(cpn_view in, cpn_view *cert, cpn_view *comment, cpn_err *err)
{
    cpn_sshwire w = { .rest = in };
    uint32_t n;
    uint8_t type;
    cpn_rc rc = take_frame(&w, err);

    *cert = *comment = (cpn_view){ 0 };
    if (rc != CPN_OK)
        return rc;
    type = cpn_sshwire_u8(&w);
    n = cpn_sshwire_u32(&w);
    if (n == 1) {
        *cert = cpn_sshwire_string(&w);
        *comment = cpn_sshwire_string(&w);
    }
    if (type == LISTED && n <= 1 && cpn_sshwire_done(&w))
        return CPN_OK;
    *cert = *comment = (cpn_view){ 0 };
    return cpn_fail(err, CPN_E_PROTO, "the agent's answer is no list of one identity");
}

cpn_rc
cpn_agent_put_signature(cpn_buf *out, const uint8_t signature[CPN_ED25519_SIGNATURE])
{
    const size_t blob = 4 + sizeof(ED25519) - 1 + 4 + CPN_ED25519_SIGNATURE;
    cpn_rc rc = put_head(out, 4 + blob, SIGNED);

    if (rc == CPN_OK)
        rc = cpn_sshwire_put_u32(out, (uint32_t)blob);
    if (rc == CPN_OK)
        rc = cpn_sshwire_put_string(out, CPN_VIEW_LIT(ED25519));
    if (rc == CPN_OK)
        rc = cpn_sshwire_put_string(out, (cpn_view){ signature, CPN_ED25519_SIGNATURE });
    return rc;
}
