/* identity/flows.h -- sign-ins that wait for a person with a browser: device codes (RFC 8628) and
 * authorization codes with PKCE (RFC 6749 4.1, 7636). A state machine in memory, by a given clock.
 *
 *     WAITING ──claim──▶ CLAIMED ──proved──▶ PROVED ──decide──▶ APPROVED ──redeem──▶ USED
 *     (device code,      (one browser        (who the         └─▶ DENIED
 *      nobody came)       owns it)            person is)
 *
 * An authorization request begins as CLAIMED: the browser that brought it owns it. Secrets are kept
 * as SHA-256. A restart of control forgets flows: the person begins again. */
#ifndef CPN_IDENTITY_FLOWS_H
#define CPN_IDENTITY_FLOWS_H

#include <jansson.h>

#include "codec/loopback.h"
#include "identity/refresh.h"
#include "identity/usercode.h"
#include "model/addr.h"

#define CPN_FLOW_ID 33         /* 128 bits in hex, terminated: names a flow in forms */
#define CPN_FLOW_SECRET 44     /* 256 bits in base64url, terminated */
#define CPN_FLOW_DEVICE_S 900  /* a device code */
#define CPN_FLOW_BROWSER_S 600 /* an authorization request, until Approve */
#define CPN_FLOW_CODE_S 60     /* an authorization code, from Approve to its use */
#define CPN_FLOW_KEPT_S 900    /* an ended flow can still be told why, and a reuse be seen */
#define CPN_FLOW_INTERVAL_S 5  /* between polls; too fast: 5 s more each time */
#define CPN_FLOW_INTERVAL_MAX_S 60
#define CPN_FLOW_POLL_SLACK_MS 500 /* a client whose clock ticks a little faster */
#define CPN_FLOW_SCOPE_MAX 1024
#define CPN_FLOW_STATE_MAX 512
#define CPN_FLOW_NONCE_MAX 256

typedef enum cpn_flow_state {
    CPN_FLOW_NONE = 0,
    CPN_FLOW_WAITING,
    CPN_FLOW_CLAIMED,
    CPN_FLOW_PROVED,
    CPN_FLOW_APPROVED,
    CPN_FLOW_DENIED,
    CPN_FLOW_USED
} cpn_flow_state;

/* What began it. Texts are checked by the caller: printable UTF-8. */
typedef struct cpn_flow_ask {
    bool device; /* else: an authorization request */
    cpn_addr source;
    uint16_t port;
    int64_t wall_ms;
    char user_agent[513];
    char client_id[CPN_CLIENT_ID_MAX + 1];
    char scope[CPN_FLOW_SCOPE_MAX + 1];
    char nonce[CPN_FLOW_NONCE_MAX + 1]; /* OpenID Connect's: goes into the id_token */
    /* of an authorization request */
    char redirect_uri[CPN_LOOPBACK_MAX + 1];
    char state[CPN_FLOW_STATE_MAX + 1];
    uint8_t challenge[32]; /* PKCE S256 */
    bool form_post;        /* response_mode */
} cpn_flow_ask;

/* Read it; flows.c alone writes, but for `external`. */
typedef struct cpn_flow {
    cpn_flow_ask ask;
    cpn_flow_state state;
    char id[CPN_FLOW_ID];
    char user_code[CPN_USER_CODE]; /* of a device code */
    uint8_t secret[32];            /* SHA-256 of the device code, or of the issued code */
    uint8_t browser[32];           /* SHA-256 of its cookie, from CLAIMED on */
    char object_id[40];            /* from PROVED on */
    char name[257];                /* of that person, for showing */
    uint64_t epoch;                /* of policy, by which they were proved */
    char family[CPN_UUID_TEXT];    /* of the refresh tokens given */
    uint64_t began_ms;
    uint64_t expires_ms;
    uint64_t polled_ms; /* 0: never */
    unsigned interval_s;
    json_t
        *external; /* whatever an outside provider must remember of this attempt; freed with it */
} cpn_flow;

typedef struct cpn_flows cpn_flows;

/* At most max open ones, source_max of one source (IPv6: a /56). */
cpn_flows *cpn_flows_new(unsigned max, unsigned source_max);
void cpn_flows_free(cpn_flows *f);
void cpn_flows_bounds(cpn_flows *f, unsigned max, unsigned source_max);
unsigned cpn_flows_open(const cpn_flows *f, uint64_t now_ms);

/* device_code gets the secret text. CPN_LIMIT: too many are open; CPN_DENIED: of this source. */
cpn_rc cpn_flow_device(cpn_flows *f, const cpn_flow_ask *ask, uint64_t now_ms,
                       char device_code[CPN_FLOW_SECRET], cpn_flow **out) CPN_MUST_CHECK;
/* browser is the SHA-256 of the cookie that the answer sets. As above. */
cpn_rc cpn_flow_authorize(cpn_flows *f, const cpn_flow_ask *ask, const uint8_t browser[32],
                          uint64_t now_ms, cpn_flow **out) CPN_MUST_CHECK;

/* Somebody typed a user code (cpn_user_code_read has tidied it). CPN_EXISTS: the same browser did
 * so before, and may. CPN_NOT_FOUND: no such code, expired, ended, or another browser's. */
cpn_rc cpn_flow_claim(cpn_flows *f, const char *user_code, const uint8_t browser[32],
                      uint64_t now_ms, cpn_flow **out) CPN_MUST_CHECK;
/* The open flow of that id and browser, in that state; NULL: none. */
cpn_flow *cpn_flow_find(cpn_flows *f, cpn_view id, const uint8_t browser[32], cpn_flow_state state,
                        uint64_t now_ms);
/* CLAIMED → PROVED, by the policy of that epoch: whoever knew an old password must not keep a code
 * that it approved. */
void cpn_flow_proved(cpn_flow *flow, const char *object_id, const char *name, uint64_t epoch);
/* PROVED → APPROVED or DENIED. code gets an authorization code when one is issued, else "". */
void cpn_flow_decide(cpn_flow *flow, bool approve, uint64_t now_ms, char code[CPN_FLOW_SECRET]);

/* What a token endpoint is told about a code. */
typedef enum cpn_flow_answer {
    CPN_FLOW_BAD = 0, /* invalid_grant: unknown, of another client, already used */
    CPN_FLOW_PENDING, /* authorization_pending */
    CPN_FLOW_SLOWER,  /* slow_down */
    CPN_FLOW_EXPIRED, /* expired_token */
    CPN_FLOW_REFUSED, /* access_denied */
    CPN_FLOW_REUSED,  /* invalid_grant, and what it gave must be revoked: flow->family */
    CPN_FLOW_GIVEN    /* the one use */
} cpn_flow_answer;

/* Poll with a device code. *out: the flow when GIVEN. */
cpn_flow_answer cpn_flow_poll(cpn_flows *f, cpn_view device_code, const char *client_id,
                              uint64_t now_ms, cpn_flow **out);
/* Redeem an authorization code; all of client, redirect URI and verifier must be its own. *out: the
 * flow when GIVEN or REUSED. */
typedef struct cpn_flow_proof {
    cpn_view code;
    cpn_view redirect_uri;
    cpn_view verifier; /* 43 to 128 unreserved characters */
    const char *client_id;
} cpn_flow_proof;

cpn_flow_answer cpn_flow_redeem(cpn_flows *f, const cpn_flow_proof *proof, uint64_t now_ms,
                                cpn_flow **out);
/* The refresh tokens of a GIVEN flow, so that a reuse can revoke them. */
void cpn_flow_gave(cpn_flow *flow, const char *family);

#endif
