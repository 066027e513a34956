/* Asks identity whether a request's proof of a key holds. */
#include "control/held.h"

#include "base/log.h"

static cpn_held
check(cpn_control *c, cpn_holder_ask *ask, const cpn_addr *peer)
{
    char text[CPN_ADDR_TEXT];
    cpn_err err = { 0 };
    cpn_thumb key;
    cpn_held held;

    ask->host = c->host;
    ask->now_s = cpn_wall_s();
    held = cpn_holder_check(c->holders, ask, &key, &err);
    if (held == CPN_HELD_NOT)
        cpn_log(CPN_LOG_WARN, "key.not_proved", CPN_KV("peer", cpn_addr_text(peer, text)),
                CPN_KV("why", err.msg));
    return held;
}

bool
cpn_held_call(cpn_control *c, const cpn_msg_REQUEST *m, const cpn_claims *claims)
{
    cpn_holder_ask ask = { .proof = m->proof,
                           .method = m->method,
                           .path = m->path,
                           .token = m->bearer,
                           .expect = &claims->key,
                           .exporter = m->exporter };

    return !claims->key.set || check(c, &ask, &m->peer) != CPN_HELD_NOT;
}

cpn_held
cpn_held_carrier(cpn_control *c, const cpn_msg_CARRIER *m, const cpn_claims *claims)
{
    cpn_holder_ask ask = { .proof = m->proof,
                           .method = CPN_VIEW_LIT("GET"),
                           .path = CPN_VIEW_LIT("/v1/tunnel"),
                           .token = m->bearer,
                           .expect = &claims->key,
                           .exporter = m->exporter };

    return claims->key.set ? check(c, &ask, &m->peer) : CPN_HELD_NOT;
}

cpn_rc
cpn_held_token(cpn_call *call, cpn_thumb *key, cpn_err *err)
{
    cpn_holder_ask ask = { .proof = cpn_view_str(call->proof),
                           .method = cpn_view_str(call->route->method),
                           .path = cpn_view_str(call->path),
                           .host = call->c->host,
                           .exporter = { call->exporter, call->exporter_n },
                           .now_s = cpn_wall_s() };

    *key = (cpn_thumb){ .set = false };
    if (!call->proof)
        return CPN_OK;
    if (cpn_holder_check(call->c->token_holders, &ask, key, err) == CPN_HELD_NOT)
        return CPN_INVALID;
    return CPN_OK;
}
