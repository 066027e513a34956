/* base/err.h -- what went wrong, who deals with it, and in which words.
 *
 * The sign decides: a positive code is an outcome that the caller handles (each header lists the
 * ones it returns), a negative one is passed up with a sentence. cpn_fail() where it is detected,
 * cpn_ctx() where it passes, one log line where it stops. */
#ifndef CPN_BASE_ERR_H
#define CPN_BASE_ERR_H

#include "base/mem.h"

typedef enum cpn_rc {
    CPN_OK = 0,
#define CPN_RC(name, value, word, http, exit_code) CPN_##name = (value),
#include "base/rc.def"
#undef CPN_RC
} cpn_rc;

/* Lives in the caller's frame; never allocated. NULL is allowed wherever one is asked for. */
typedef struct cpn_err {
    cpn_rc rc;
    char msg[512];
} cpn_err;

/* Set err to a sentence and return rc. */
cpn_rc cpn_fail(cpn_err *err, cpn_rc rc, const char *fmt, ...) CPN_PRINTF(3, 4);
/* Put "sentence: " in front of what err says and return rc. */
cpn_rc cpn_ctx(cpn_err *err, cpn_rc rc, const char *fmt, ...) CPN_PRINTF(3, 4);

/* The public word for a code ("not_found"), its HTTP status and the client's exit code. */
const char *cpn_rc_word(cpn_rc rc);
int cpn_rc_http(cpn_rc rc);
int cpn_rc_exit(cpn_rc rc);

#endif
