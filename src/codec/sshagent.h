/* codec/sshagent.h -- the two requests of the SSH agent protocol (draft-miller-ssh-agent) that an
 * agent with one certificate answers: list the identities, and sign for a sign-in.
 *
 * Everything else that is well framed is CPN_AGENT_OTHER, whose answer is a failure. What is signed
 * must be a sign-in with that very key (RFC 4252 7, and OpenSSH's host-bound form of it): the agent
 * signs no files, no commits and no certificates. */
#ifndef CPN_CODEC_SSHAGENT_H
#define CPN_CODEC_SSHAGENT_H

#include "base/buf.h"

#define CPN_AGENT_FRAME_MAX 32768 /* bytes of one message behind its length */
#define CPN_ED25519_SIGNATURE 64

typedef enum cpn_agent_kind { CPN_AGENT_OTHER = 0, CPN_AGENT_LIST, CPN_AGENT_SIGN } cpn_agent_kind;

/* Views borrow from the input. */
typedef struct cpn_agent_ask {
    cpn_agent_kind kind;
    cpn_view key;  /* CPN_AGENT_SIGN: with which */
    cpn_view what; /* and what */
} cpn_agent_ask;

/* Read one request from the front of in. CPN_OK: *used bytes of it, *out filled. CPN_AGAIN: more
 * bytes are needed. CPN_LIMIT: longer than CPN_AGENT_FRAME_MAX. CPN_E_PROTO: an empty message, or a
 * list or sign request of another shape. *used is 0 then, and out zero. */
cpn_rc cpn_agent_parse(cpn_view in, cpn_agent_ask *out, size_t *used, cpn_err *err) CPN_MUST_CHECK;
/* Is `what` a request to sign in with this key (a certificate's blob) and nothing else? */
bool cpn_agent_is_sign_in(cpn_view what, cpn_view key);

/* The answer to a list request, as one who asks reads it: the first identity and its comment, both
 * empty when there is none. Views borrow from in. CPN_AGAIN: more bytes are needed. CPN_LIMIT:
 * longer than CPN_AGENT_FRAME_MAX. CPN_E_PROTO: another answer, more than one identity, or
 * malformed. */
cpn_rc cpn_agent_read_list(cpn_view in, cpn_view *cert, cpn_view *comment,
                           cpn_err *err) CPN_MUST_CHECK;
/* Append a list request. */
cpn_rc cpn_agent_put_ask_list(cpn_buf *out) CPN_MUST_CHECK;

/* Append an answer. CPN_LIMIT, CPN_E_NOMEM: no room. cert empty: an empty list. */
cpn_rc cpn_agent_put_failure(cpn_buf *out) CPN_MUST_CHECK;
cpn_rc cpn_agent_put_list(cpn_buf *out, cpn_view cert, cpn_view comment) CPN_MUST_CHECK;
cpn_rc cpn_agent_put_signature(cpn_buf *out,
                               const uint8_t signature[CPN_ED25519_SIGNATURE]) CPN_MUST_CHECK;

#endif
