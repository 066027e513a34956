/* The pending sign-ins: who may take which step, once, and for how long. */
#include "identity/flows.h"

#include <stdlib.h>

#include "base/secret.h"
#include "codec/b64url.h"
#include "codec/digest.h"

/* Ended flows are kept beside the open ones, to be told why; the oldest make room. */
#define KEPT_FACTOR 2

#define TO(s) (1u << CPN_FLOW_##s)
static const unsigned next_states[] = {
    [CPN_FLOW_NONE] = TO(WAITING) | TO(CLAIMED),
    [CPN_FLOW_WAITING] = TO(CLAIMED),
    [CPN_FLOW_CLAIMED] = TO(PROVED),
    [CPN_FLOW_PROVED] = TO(APPROVED) | TO(DENIED),
    [CPN_FLOW_APPROVED] = TO(USED),
    [CPN_FLOW_DENIED] = 0,
    [CPN_FLOW_USED] = 0,
};

struct cpn_flows {
    unsigned max, source_max;
    unsigned n;
    unsigned size;
    cpn_flow **all; /* in the order of their beginning */
};

/* The only writer of flow->state. */
static void
advance(cpn_flow *flow, cpn_flow_state to)
{
    if (!(next_states[flow->state] & (1u << to)))
        abort(); /* a bug in us, never in the peer */
    flow->state = to;
}

/* ---- the table ---- */

cpn_flows *
cpn_flows_new(unsigned max, unsigned source_max)
{
    cpn_flows *f = cpn_xcalloc(1, sizeof(*f));

    cpn_flows_bounds(f, max, source_max);
    return f;
}

void
cpn_flows_bounds(cpn_flows *f, unsigned max, unsigned source_max)
{
    f->max = max;
    f->source_max = source_max;
    if (max * KEPT_FACTOR > f->size) {
        f->size = max * KEPT_FACTOR;
        f->all = cpn_xrealloc(f->all, f->size, sizeof(*f->all));
    }
}

static void
flow_free(cpn_flow *flow)
{
    json_decref(flow->external);
    explicit_bzero(flow, sizeof(*flow));
    free(flow);
}

void
cpn_flows_free(cpn_flows *f)
{
    if (!f)
        return;
    for (unsigned i = 0; i < f->n; i++)
        flow_free(f->all[i]);
    free(f->all);
    free(f);
}

/* Somebody may still take a step. */
static bool
is_open(const cpn_flow *flow, uint64_t now_ms)
{
    return flow->state >= CPN_FLOW_WAITING && flow->state <= CPN_FLOW_APPROVED &&
           now_ms < flow->expires_ms;
}

static void
remove_at(cpn_flows *f, unsigned i)
{
    flow_free(f->all[i]);
    f->n--;
    memmove(f->all + i, f->all + i + 1, (f->n - i) * sizeof(*f->all));
}

static void
sweep(cpn_flows *f, uint64_t now_ms)
{
    for (unsigned i = f->n; i-- > 0;)
        if (!is_open(f->all[i], now_ms) && now_ms >= f->all[i]->expires_ms + CPN_FLOW_KEPT_S * 1000)
            remove_at(f, i);
}

static bool
same_source(const cpn_addr *a, const cpn_addr *b)
{
    cpn_addr of_a = cpn_addr_source(a), of_b = cpn_addr_source(b);

    return cpn_addr_eq(&of_a, &of_b);
}

unsigned
cpn_flows_open(const cpn_flows *f, uint64_t now_ms)
{
    unsigned n = 0;

    for (unsigned i = 0; i < f->n; i++)
        n += is_open(f->all[i], now_ms);
    return n;
}

static cpn_rc
room(cpn_flows *f, const cpn_flow_ask *ask, uint64_t now_ms)
{
    unsigned of_source = 0;

    sweep(f, now_ms);
    if (cpn_flows_open(f, now_ms) >= f->max)
        return CPN_LIMIT;
    for (unsigned i = 0; i < f->n; i++)
        of_source +=
            is_open(f->all[i], now_ms) && same_source(&f->all[i]->ask.source, &ask->source);
    if (of_source >= f->source_max)
        return CPN_DENIED;
    for (unsigned i = 0; i < f->n && f->n >= f->size; i++)
        if (!is_open(f->all[i], now_ms))
            remove_at(f, i);
    return CPN_OK;
}

static void
random_text(char out[CPN_FLOW_SECRET], uint8_t hash[32])
{
    uint8_t secret[32];
    char text[CPN_B64_SIZE(sizeof(secret))];

    cpn_random(secret, sizeof(secret));
    if (!cpn_b64url_encode((cpn_view){ secret, sizeof(secret) }, text, sizeof(text)) ||
        !cpn_view_copy(cpn_view_str(text), out, CPN_FLOW_SECRET))
        abort(); /* the sizes are right */
    explicit_bzero(secret, sizeof(secret));
    explicit_bzero(text, sizeof(text));
    cpn_sha256(cpn_view_str(out), hash);
}

static cpn_flow *
add(cpn_flows *f, const cpn_flow_ask *ask, uint64_t now_ms)
{
    cpn_flow *flow = cpn_xcalloc(1, sizeof(*flow));
    uint8_t id[16];

    cpn_random(id, sizeof(id));
    if (!cpn_hex_encode((cpn_view){ id, sizeof(id) }, flow->id, sizeof(flow->id)))
        abort(); /* the size is right */
    flow->ask = *ask;
    flow->began_ms = now_ms;
    flow->interval_s = CPN_FLOW_INTERVAL_S;
    flow->expires_ms = now_ms + (ask->device ? CPN_FLOW_DEVICE_S : CPN_FLOW_BROWSER_S) * 1000ull;
    f->all[f->n++] = flow;
    return flow;
}

/* ---- beginning ---- */

static bool
user_code_taken(const cpn_flows *f, const char *code)
{
    for (unsigned i = 0; i < f->n; i++)
        if (strcmp(f->all[i]->user_code, code) == 0)
            return true;
    return false;
}

cpn_rc
cpn_flow_device(cpn_flows *f, const cpn_flow_ask *ask, uint64_t now_ms,
                char device_code[CPN_FLOW_SECRET], cpn_flow **out)
{
    char user_code[CPN_USER_CODE];
    cpn_rc rc = room(f, ask, now_ms);

    if (rc != CPN_OK)
        return rc;
    do
        cpn_user_code_new(user_code);
    while (user_code_taken(f, user_code));
    *out = add(f, ask, now_ms);
    memcpy((*out)->user_code, user_code, sizeof(user_code));
    random_text(device_code, (*out)->secret);
    advance(*out, CPN_FLOW_WAITING);
    return CPN_OK;
}

cpn_rc
cpn_flow_authorize(cpn_flows *f, const cpn_flow_ask *ask, const uint8_t browser[32],
                   uint64_t now_ms, cpn_flow **out)
{
    cpn_rc rc = room(f, ask, now_ms);

    if (rc != CPN_OK)
        return rc;
    *out = add(f, ask, now_ms);
    memcpy((*out)->browser, browser, 32);
    advance(*out, CPN_FLOW_CLAIMED);
    return CPN_OK;
}

/* ---- the browser's steps ---- */

static bool
same_bytes(const uint8_t a[32], const uint8_t b[32])
{
    return cpn_ct_eq((cpn_view){ a, 32 }, (cpn_view){ b, 32 });
}

cpn_rc
cpn_flow_claim(cpn_flows *f, const char *user_code, const uint8_t browser[32], uint64_t now_ms,
               cpn_flow **out)
{
    for (unsigned i = 0; i < f->n; i++) {
        cpn_flow *flow = f->all[i];

        if (!flow->user_code[0] || strcmp(flow->user_code, user_code) != 0)
            continue;
        if (!is_open(flow, now_ms) || flow->state > CPN_FLOW_CLAIMED)
            return CPN_NOT_FOUND;
        if (flow->state == CPN_FLOW_CLAIMED && !same_bytes(flow->browser, browser))
            return CPN_NOT_FOUND;
        *out = flow;
        if (flow->state == CPN_FLOW_CLAIMED)
            return CPN_EXISTS;
        memcpy(flow->browser, browser, 32);
        advance(flow, CPN_FLOW_CLAIMED);
        return CPN_OK;
    }
    return CPN_NOT_FOUND;
}

cpn_flow *
cpn_flow_find(cpn_flows *f, cpn_view id, const uint8_t browser[32], cpn_flow_state state,
              uint64_t now_ms)
{
    for (unsigned i = 0; i < f->n; i++) {
        cpn_flow *flow = f->all[i];

        if (cpn_view_is(id, flow->id))
            return is_open(flow, now_ms) && flow->state == state &&
                           same_bytes(flow->browser, browser)
                       ? flow
                       : NULL;
    }
    return NULL;
}

void
cpn_flow_proved(cpn_flow *flow, const char *object_id, const char *name, uint64_t epoch)
{
    if (!cpn_view_copy(cpn_view_str(object_id), flow->object_id, sizeof(flow->object_id)))
        abort(); /* object ids are GUIDs */
    if (!cpn_view_copy(cpn_view_str(name), flow->name, sizeof(flow->name)))
        memcpy(flow->name, flow->object_id, sizeof(flow->object_id));
    flow->epoch = epoch;
    advance(flow, CPN_FLOW_PROVED);
}

void
cpn_flow_decide(cpn_flow *flow, bool approve, uint64_t now_ms, char code[CPN_FLOW_SECRET])
{
    code[0] = '\0';
    advance(flow, approve ? CPN_FLOW_APPROVED : CPN_FLOW_DENIED);
    if (!approve || flow->ask.device)
        return;
    random_text(code, flow->secret);
    flow->expires_ms = now_ms + CPN_FLOW_CODE_S * 1000ull;
}

/* ---- the token endpoint's steps ---- */

static cpn_flow *
by_secret(cpn_flows *f, cpn_view secret, bool device)
{
    static const uint8_t none[32];
    uint8_t hash[32];

    if (secret.n != CPN_FLOW_SECRET - 1)
        return NULL;
    cpn_sha256(secret, hash);
    for (unsigned i = 0; i < f->n; i++)
        if (f->all[i]->ask.device == device && !same_bytes(f->all[i]->secret, none) &&
            same_bytes(f->all[i]->secret, hash))
            return f->all[i];
    return NULL;
}

static cpn_flow_answer
give(cpn_flow *flow)
{
    advance(flow, CPN_FLOW_USED);
    return CPN_FLOW_GIVEN;
}

/* Polled within the interval: it grows. */
static bool
too_fast(cpn_flow *flow, uint64_t now_ms)
{
    bool fast = flow->polled_ms &&
                now_ms - flow->polled_ms < flow->interval_s * 1000ull - CPN_FLOW_POLL_SLACK_MS;

    flow->polled_ms = now_ms;
    if (fast)
        flow->interval_s = CPN_MIN(flow->interval_s + CPN_FLOW_INTERVAL_S, CPN_FLOW_INTERVAL_MAX_S);
    return fast;
}

cpn_flow_answer
cpn_flow_poll(cpn_flows *f, cpn_view device_code, const char *client_id, uint64_t now_ms,
              cpn_flow **out)
{
    cpn_flow *flow = by_secret(f, device_code, true);

    *out = NULL;
    if (!flow || strcmp(flow->ask.client_id, client_id) != 0)
        return CPN_FLOW_BAD;
    if (flow->state == CPN_FLOW_USED)
        return CPN_FLOW_BAD;
    if (flow->state == CPN_FLOW_DENIED)
        return CPN_FLOW_REFUSED;
    if (now_ms >= flow->expires_ms)
        return CPN_FLOW_EXPIRED;
    if (too_fast(flow, now_ms))
        return CPN_FLOW_SLOWER;
    if (flow->state != CPN_FLOW_APPROVED)
        return CPN_FLOW_PENDING;
    *out = flow;
    return give(flow);
}

/* RFC 7636 4.6 and 4.1: the verifier's hash is the challenge, and it has the right form. */
static bool
verifier_fits(const cpn_flow *flow, cpn_view verifier)
{
    uint8_t hash[32];

    if (verifier.n < 43 || verifier.n > 128)
        return false;
    cpn_sha256(verifier, hash);
    return same_bytes(hash, flow->ask.challenge);
}

cpn_flow_answer
cpn_flow_redeem(cpn_flows *f, const cpn_flow_proof *proof, uint64_t now_ms, cpn_flow **out)
{
    cpn_flow *flow = by_secret(f, proof->code, false);

    *out = NULL;
    if (!flow)
        return CPN_FLOW_BAD;
    if (flow->state == CPN_FLOW_USED) {
        *out = flow;
        return CPN_FLOW_REUSED;
    }
    if (flow->state != CPN_FLOW_APPROVED || now_ms >= flow->expires_ms ||
        strcmp(flow->ask.client_id, proof->client_id) != 0 ||
        !cpn_view_is(proof->redirect_uri, flow->ask.redirect_uri) ||
        !verifier_fits(flow, proof->verifier))
        return CPN_FLOW_BAD;
    *out = flow;
    return give(flow);
}

void
cpn_flow_gave(cpn_flow *flow, const char *family)
{
    (void)cpn_view_copy(cpn_view_str(family), flow->family, sizeof(flow->family));
}
