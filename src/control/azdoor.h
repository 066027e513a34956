/* control/azdoor.h -- the Azure door: authTokens, tickets, denied sessions.
 *
 * An authToken is a session; it is kept as SHA-256 beside it. A ticket (websocketToken) is 256
 * bits, kept as SHA-256 in the store, used once, and names the session it opens a stream of. A
 * session takes its place in the limits, and gets its row, with its first WebSocket. */
#ifndef CPN_CONTROL_AZDOOR_H
#define CPN_CONTROL_AZDOOR_H

#include "codec/b64url.h"
#include "control/open.h"

/* base64url of 256 bits. */
#define CPN_AZ_TOKEN_SIZE CPN_B64_SIZE(32)
/* The most that denied_sessions_max can be. */
#define CPN_AZ_DENIED_MAX 4096

cpn_azdoor *cpn_azdoor_new(void);
void cpn_azdoor_free(cpn_azdoor *d);

/* A new secret and the key it is kept by. */
void cpn_az_secret(char text[CPN_AZ_TOKEN_SIZE], uint8_t key[32]);
/* The live session of an authToken; NULL: unknown. */
cpn_session *cpn_az_session(cpn_control *c, cpn_view auth_token);
/* The connection or the front (conn 0) is gone: upgrades that still wait for their ticket end
 * nowhere. */
void cpn_az_forget(cpn_control *c, uint32_t front, uint32_t conn);

/* Denied sessions that wait for their upgrade. CPN_LIMIT: too many. */
cpn_rc cpn_az_denied_take(cpn_control *c, uint64_t now_ms) CPN_MUST_CHECK;

#endif
