/* Keeps the carriers to the gateway: one made at the start, more when it is full or was lost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "client/printable.h"
#include "client/tunnel_impl.h"

#define CONNECT_MS 10000
#define RETRY_FIRST_MS 250
#define RETRY_LAST_MS 4000

void
cpn_tunnel_distrust(cpn_tunnel_link *k)
{
    if (k->carrier && cpn_carrier_opens(k->carrier))
        cpn_carrier_drain(k->carrier);
}

/* The usable carrier with the fewest streams; NULL: none. *usable: how many there are. */
static cpn_carrier *
least_busy(cpn_tunnel *t, unsigned *usable)
{
    int64_t now_s = cpn_wall_s();
    cpn_carrier *least = NULL;

    *usable = 0;
    for (unsigned i = 0; i < CPN_CARRIERS_MAX; i++) {
        cpn_tunnel_link *k = &t->links[i];

        /* The gateway opens no stream with a token that has ended; a new carrier has a new one. */
        if (k->expires_s <= now_s)
            cpn_tunnel_distrust(k);
        if (!k->carrier || !cpn_carrier_opens(k->carrier))
            continue;
        ++*usable;
        if (!least || cpn_carrier_streams(k->carrier) < cpn_carrier_streams(least))
            least = k->carrier;
    }
    return least;
}

static bool
takes_one_more(const cpn_carrier *least)
{
    return least && cpn_carrier_streams(least) < CPN_SESSION_STREAMS_MAX;
}

cpn_carrier *
cpn_tunnel_room(cpn_tunnel *t)
{
    unsigned usable;
    cpn_carrier *least = least_busy(t, &usable);

    return takes_one_more(least) ? least : NULL;
}

static bool
has_enough(cpn_tunnel *t)
{
    unsigned usable;
    const cpn_carrier *least = least_busy(t, &usable);

    if (usable < CPN_MAX(t->plan->carriers, 1u) && !t->enough)
        return false;
    return takes_one_more(least) || !cpn_locals_wait(t);
}

unsigned
cpn_tunnel_carriers(const cpn_tunnel *t)
{
    unsigned n = 0;

    for (unsigned i = 0; i < CPN_CARRIERS_MAX; i++)
        n += t->links[i].carrier != NULL;
    return n;
}

static void
on_opened(void *owner, cpn_stream *s, cpn_view json)
{
    const cpn_tunnel_link *k = owner;

    cpn_tunnel_session_opened(k->tunnel, cpn_stream_user(s), json);
}

/* What is true of this carrier is of all that were there when the local came. */
static void
distrust_older(cpn_tunnel *t, const cpn_local *l, cpn_tunnel_link *than)
{
    cpn_tunnel_distrust(than);
    for (unsigned i = 0; i < CPN_CARRIERS_MAX; i++)
        if (t->links[i].made_ms <= l->since_ms)
            cpn_tunnel_distrust(&t->links[i]);
}

static void
on_stream_end(void *owner, cpn_stream *s, const cpn_stream_end *end)
{
    cpn_tunnel_link *k = owner;
    /* The gateway's control has restarted and does not know this carrier, or the token it was made
     * with has ended by the gateway's clock: new streams want another. */
    bool stale = end->why == CPN_STREAM_REFUSED &&
                 (cpn_reason_is(end->text, cpn_reason_word(CPN_WHY_CONTROL_AWAY)) ||
                  cpn_reason_is(end->text, cpn_reason_word(CPN_WHY_TOKEN_EXPIRED)));

    if (stale)
        distrust_older(k->tunnel, cpn_stream_user(s), k);
    cpn_local_stream_end(k->tunnel, cpn_stream_user(s), end, stale);
    if (cpn_locals_wait(k->tunnel)) /* there may be room now */
        cpn_tunnel_advance(k->tunnel);
}

static void
on_carrier_end(void *owner, cpn_carrier_why why, unsigned code, const char *text)
{
    cpn_tunnel_link *k = owner;
    cpn_tunnel *t = k->tunnel;

    (void)code;
    cpn_carrier_free(cpn_steal(&k->carrier));
    t->enough = false;
    if (t->stopping) {
        if (cpn_tunnel_carriers(t) == 0)
            uv_stop(&t->uv);
        return;
    }
    if (why != CPN_CARRIER_CLOSED)
        cpn_tunnel_carrier_lost(t, text);
    if (why != CPN_CARRIER_CLOSED)
        cpn_say("the connection to the gateway was lost (%s)%s", text,
                t->stdio ? "" : "; the next one makes a new one");
    if (cpn_locals_wait(t))
        cpn_tunnel_advance(t);
}

static const cpn_carrier_events events = { .on_opened = on_opened,
                                           .on_stream_end = on_stream_end,
                                           .on_end = on_carrier_end };

/* Twice as long each time, of which up to four fifths are left to chance: whoever was turned away
 * with us comes back, too. */
uint64_t
cpn_tunnel_retry_ms(unsigned failures)
{
    uint64_t ms = RETRY_FIRST_MS;
    uint32_t dice;

    for (unsigned i = 0; i < failures && ms < RETRY_LAST_MS; i++)
        ms *= 2;
    ms = CPN_MIN(ms, RETRY_LAST_MS);
    cpn_random(&dice, sizeof(dice));
    return ms - dice % (ms / 5 * 4 + 1);
}

/* Try again while somebody waits, a little later each time. */
static void
try_later(cpn_tunnel *t, const char *sentence)
{
    uint64_t ms = cpn_tunnel_retry_ms(t->failures++);

    cpn_tunnel_say_once(t, sentence);
    cpn_locals_fail(t, sentence, CPN_LOCAL_WAIT_MS);
    if (cpn_locals_wait(t))
        uv_timer_start(&t->retry, cpn_tunnel_retry, ms, 0);
}

static void
give_up(cpn_tunnel *t, const char *sentence)
{
    cpn_tunnel_say_once(t, sentence);
    cpn_locals_fail(t, sentence, 0);
}

/* Whoever opens the TLS connection shows a certificate of its own. */
static void
name_issuer(char sentence[CPN_LAST_WORDS], const char *issuer)
{
    size_t n = strlen(sentence);

    if (issuer[0])
        snprintf(sentence + n, CPN_LAST_WORDS - n, " (the certificate here is issued by %s)",
                 issuer);
}

/* The gateway answered with something else than 101. */
static void
on_refused(cpn_tunnel *t, const cpn_httpc_reply *reply)
{
    char sentence[CPN_LAST_WORDS];

    if (reply->status == 401 && !t->renewed) {
        (void)cpn_api_clock(t->api, reply);
        t->renewed = true;
        cpn_tunnel_advance(t);
        return;
    }
    if (reply->body.n > 0)
        cpn_reason_sentence_of(cpn_buf_view(&reply->body), sentence);
    else
        snprintf(sentence, sizeof(sentence), "the gateway answered with status %d", reply->status);
    if (cpn_reason_is(cpn_buf_view(&reply->body), cpn_reason_word(CPN_WHY_TLS_OPENED)))
        name_issuer(sentence, reply->issuer);
    t->enough = true;
    if (reply->status == 503 || reply->status == 429)
        try_later(t, sentence);
    else
        give_up(t, sentence);
}

static cpn_tunnel_link *
free_link(cpn_tunnel *t)
{
    for (unsigned i = 0; i < CPN_CARRIERS_MAX; i++)
        if (!t->links[i].carrier) {
            t->links[i].tunnel = t;
            return &t->links[i];
        }
    return NULL;
}

static void
on_upgraded(void *owner, cpn_httpc_reply *reply, const cpn_err *why)
{
    cpn_tunnel *t = owner;
    cpn_tunnel_link *k = free_link(t);
    cpn_carrier_opts opts = { .role = CPN_WS_CLIENT, .events = &events, .owner = k };
    cpn_err err = { 0 };

    t->connecting = NULL;
    if (t->stopping)
        return;
    if (why->rc == CPN_UNAVAILABLE) {
        try_later(t, why->msg);
    } else if (why->rc != CPN_OK) {
        give_up(t, why->msg);
    } else if (reply->status != 101 || !reply->tls) {
        on_refused(t, reply);
    } else if (cpn_carrier_new(&k->carrier, t->loop, cpn_steal(&reply->tls), &opts, &err) !=
               CPN_OK) {
        k->carrier = NULL;
        try_later(t, err.msg);
    } else {
        k->expires_s = t->api->ctx.expires_s;
        k->made_ms = uv_now(&t->uv);
        t->failures = 0;
        t->renewed = false;
        cpn_tunnel_carrier_made(t);
        cpn_tunnel_advance(t);
    }
}

void
cpn_tunnel_retry(uv_timer_t *timer)
{
    cpn_tunnel_advance(timer->data);
}

static cpn_rc
start(cpn_tunnel *t, cpn_err *err)
{
    cpn_buf more = { .max = 256 };
    cpn_httpc_req req = { .gateway = &t->api->url,
                          .ctx = t->api->tls,
                          .method = "GET",
                          .target = "/v1/tunnel",
                          .timeout_ms = CONNECT_MS,
                          .websocket = CPN_TUNNEL_SUBPROTOCOL,
                          .line = &t->warm };
    cpn_rc rc = CPN_OK;

    /* What relays stands still meanwhile: only where the token at hand is of no use, since the
     * gateway said so, or renewing it aside has failed to its end. */
    if (t->renewed || t->api->ctx.expires_s <= cpn_wall_s())
        rc = cpn_api_renew(t->api, t->renewed, err);
    if (rc != CPN_OK)
        return rc;
    if (cpn_http_line_put(&more, "Caponier-Client", CPN_VIEW_LIT("1")) != CPN_OK)
        return cpn_fail(err, CPN_E_NOMEM, "the request");
    req.more = cpn_buf_view(&more);
    req.bearer = cpn_secret_view(&t->api->ctx.access_token);
    req.key = &t->api->ctx.key;
    rc = cpn_httpc_start(&t->connecting, t->loop, &req, on_upgraded, t, err);
    cpn_buf_fini(&more);
    return rc;
}

void
cpn_tunnel_advance(cpn_tunnel *t)
{
    cpn_err err = { 0 };
    cpn_rc rc;

    if (t->stopping)
        return;
    cpn_locals_open(t);
    if (t->connecting || uv_is_active((uv_handle_t *)&t->retry) || has_enough(t))
        return;
    if (!free_link(t)) {
        if (cpn_locals_wait(t))
            try_later(t, "every connection to the gateway is full or about to end");
        return;
    }
    if (cpn_tunnel_renews(t))
        return;
    rc = start(t, &err);
    if (rc == CPN_UNAVAILABLE)
        try_later(t, err.msg);
    else if (rc != CPN_OK)
        give_up(t, err.msg);
}
