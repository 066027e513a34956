/* client/callback.h -- where the browser brings a sign-in's answer: http://127.0.0.1:PORT/, the
 * loopback redirect of RFC 8252 7.3.
 *
 * The port is served to the user's own programs and root's only (client/peer.h). A caller without
 * the state, of another address or page, or one that says nothing is refused and the wait goes on;
 * the first answer with the state ends it, and the port is closed before the caller is told. */
#ifndef CPN_CLIENT_CALLBACK_H
#define CPN_CLIENT_CALLBACK_H

#include <sys/types.h>

#include "base/secret.h"
#include "client/inlet.h"
#include "codec/b64url.h"

#define CPN_CALLBACK_STATE CPN_B64_SIZE(32) /* terminated */
#define CPN_CALLBACK_CODE 1024
#define CPN_CALLBACK_BYTES 8192 /* of a request */
#define CPN_CALLBACK_CALLERS 8  /* at once; one more ends the one that waits longest */
#define CPN_CALLBACK_CALLER_MS 10000
#define CPN_CALLBACK_WAIT_MS 600000 /* for a person */

/* Start from CPN_CALLBACK_NONE. */
typedef struct cpn_callback {
    cpn_inlet inlet;
    char state[CPN_CALLBACK_STATE];
} cpn_callback;

#define CPN_CALLBACK_NONE ((cpn_callback){ .inlet = CPN_INLET_NONE })

/* code, or error with what is said about it. */
typedef struct cpn_callback_answer {
    cpn_secret code;
    char error[64];
    char said[256];
} cpn_callback_answer;

/* Listen on a free port with a fresh state. CPN_E_SYS. */
cpn_rc cpn_callback_open(cpn_callback *c, cpn_err *err) CPN_MUST_CHECK;
void cpn_callback_close(cpn_callback *c);

/* Judge a request. CPN_OK: out is the answer. CPN_AGAIN: not whole yet. CPN_INVALID: refuse it with
 * *status. */
cpn_rc cpn_callback_read(const cpn_callback *c, cpn_view request, cpn_callback_answer *out,
                         int *status) CPN_MUST_CHECK;

/* Wait for the answer; browser is the program that was started, and is reaped when it ends.
 * CPN_NOT_FOUND: it failed. CPN_UNAVAILABLE: nobody came in time. */
cpn_rc cpn_callback_wait(cpn_callback *c, pid_t browser, cpn_callback_answer *out,
                         cpn_err *err) CPN_MUST_CHECK;

#endif
