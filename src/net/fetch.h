/* net/fetch.h -- one HTTPS request to a server of somebody else: an identity provider. The only
 * header in front of libcurl.
 *
 * https alone, TLS 1.2 or newer, certificate and name checked; no redirect, no proxy, no cookies,
 * no compression; one answer of bounded size within a bounded time. Each runs on a worker thread,
 * CPN_FETCH_RUNNING at once, so that a provider that does not answer leaves threads for others. */
#ifndef CPN_NET_FETCH_H
#define CPN_NET_FETCH_H

#include <uv.h>

#include "base/buf.h"
#include "base/secret.h"

#define CPN_FETCH_RUNNING 2
#define CPN_FETCH_WAITING 32
#define CPN_FETCH_BYTES 1048576
#define CPN_FETCH_CONNECT_MS 3000
#define CPN_FETCH_MS 5000 /* from its start on a thread */
#define CPN_FETCH_URL_MAX 512

typedef struct cpn_fetcher cpn_fetcher;

/* Everything is copied. */
typedef struct cpn_fetch_ask {
    const char *url;
    const cpn_secret *form; /* of a POST; NULL: a GET */
    const cpn_secret *user; /* HTTP Basic, with password; NULL: none. Neither holds a NUL */
    const cpn_secret *password;
} cpn_fetch_ask;

typedef struct cpn_fetch_answer {
    int status;
    char cache_control[256]; /* "" when absent or longer */
    cpn_buf body;            /* at most CPN_FETCH_BYTES; wiped afterwards */
} cpn_fetch_answer;

/* rc CPN_OK: any status. CPN_UNAVAILABLE: no answer, and err says why in a sentence for the log.
 * answer is borrowed for the call. */
typedef void cpn_fetch_done(void *owner, cpn_rc rc, const cpn_fetch_answer *answer,
                            const cpn_err *err);

/* ca: a PEM file or a directory of certificates; "": the system's. CPN_E_CONF, CPN_E_NOMEM. */
cpn_rc cpn_fetcher_new(cpn_fetcher **out, uv_loop_t *loop, const char *ca,
                       cpn_err *err) CPN_MUST_CHECK;
/* What waits is dropped and what runs ends by itself, both without done. NULL is fine. */
void cpn_fetcher_free(cpn_fetcher *f);
/* done comes exactly once, from the loop. CPN_LIMIT: too many wait; CPN_INVALID: the URL is not
 * https or too long. Then done is not called. */
cpn_rc cpn_fetch(cpn_fetcher *f, const cpn_fetch_ask *ask, cpn_fetch_done *done,
                 void *owner) CPN_MUST_CHECK;

#endif
