/* A carrier as a tunnel has it, and a stream to the machine's port that is closed at once. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/doctor.h"
#include "client/tunnel_impl.h"

#define CONNECT_MS 15000
#define OPEN_MS 20000 /* the gateway gives up on a machine earlier */

typedef struct probe {
    cpn_doctor *d;
    const cpn_target *target; /* NULL: none */
    uv_loop_t uv;
    cpn_loop *loop;
    cpn_quota memory;
    uv_timer_t deadline;
    cpn_carrier *carrier;
    uint64_t since_ms;
    int end; /* ours of the stream's two */
    bool told;
} probe;

static void
leave(probe *p)
{
    p->told = true;
    cpn_carrier_close(p->carrier, CPN_WS_CLOSE_NORMAL, "the check is over",
                      CPN_VIEW_LIT("{\"code\":\"closed\",\"message\":\"the check is over\"}"));
}

static void
on_opened(void *owner, cpn_stream *s, cpn_view json)
{
    probe *p = owner;

    (void)s;
    (void)json;
    cpn_doctor_line(p->d, "port", CPN_HEALTH_OK, NULL, "%s port %u accepts connections (%llu ms)",
                    p->target->label, p->target->port,
                    (unsigned long long)(cpn_loop_now_ms(p->loop) - p->since_ms));
    leave(p);
}

static const char *
port_hint(cpn_view reason)
{
    static const struct {
        cpn_reason why;
        const char *hint;
    } hints[] = {
        { CPN_WHY_DIAL_REFUSED, "start the service on the machine, or check --resource-port" },
        { CPN_WHY_DIAL_TIMEOUT,
          "check that the machine runs and that its firewall lets the gateway "
          "in" },
        { CPN_WHY_DIAL_UNREACHABLE, "check that the machine runs and the gateway's route to it" },
        { CPN_WHY_FENCE, "register the machine with its private address" },
        { CPN_WHY_LIMIT_USER, "end a session of yours: caponier session list" },
    };

    for (size_t i = 0; i < CPN_COUNT(hints); i++)
        if (cpn_reason_is(reason, cpn_reason_word(hints[i].why)))
            return hints[i].hint;
    return "show this line to whoever runs the gateway";
}

static void
on_stream_end(void *owner, cpn_stream *s, const cpn_stream_end *end)
{
    char sentence[CPN_LAST_WORDS];
    probe *p = owner;
    bool lost = end->why == CPN_STREAM_CARRIER_LOST || end->why == CPN_STREAM_PROTOCOL;

    (void)s;
    if (p->told)
        return;
    cpn_reason_sentence_of(end->text, sentence);
    cpn_doctor_line(p->d, "port", CPN_HEALTH_FAIL, port_hint(end->text), "%s port %u: %s",
                    p->target->label, p->target->port, lost ? "the connection was lost" : sentence);
    if (lost)
        p->told = true;
    else
        leave(p);
}

static void
on_carrier_end(void *owner, cpn_carrier_why why, unsigned code, const char *text)
{
    probe *p = owner;

    (void)why;
    (void)code;
    if (!p->told)
        cpn_doctor_line(p->d, "tunnel", CPN_HEALTH_FAIL,
                        "try again; a proxy in between may not let WebSocket pass", "%s", text);
    p->told = true;
    uv_stop(&p->uv);
}

static const cpn_carrier_events events = { .on_opened = on_opened,
                                           .on_stream_end = on_stream_end,
                                           .on_end = on_carrier_end };

static void
open_stream(probe *p)
{
    json_auto_t *ask = cpn_target_json(p->target);
    char *text = json_dumps(ask, JSON_COMPACT);
    cpn_err err = { 0 };
    cpn_stream *s;
    int fd[2];

    p->since_ms = cpn_loop_now_ms(p->loop);
    if (!text || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0) {
        cpn_doctor_line(p->d, "port", CPN_HEALTH_FAIL, NULL, "no memory");
        leave(p);
    } else {
        p->end = fd[1];
        if (cpn_carrier_open(p->carrier, &s, &(cpn_carrier_ask){ .target = cpn_view_str(text) },
                             fd[0], &err) != CPN_OK) {
            cpn_doctor_line(p->d, "port", CPN_HEALTH_FAIL, NULL, "%s", err.msg);
            leave(p);
        }
    }
    free(text);
}

static const char *
refusal_hint(cpn_view reason)
{
    if (cpn_reason_is(reason, cpn_reason_word(CPN_WHY_TLS_OPENED)))
        return "have the gateway left out of TLS inspection, or use another network";
    if (cpn_reason_is(reason, cpn_reason_word(CPN_WHY_KEY_MISSING)) ||
        cpn_reason_is(reason, cpn_reason_word(CPN_WHY_KEY_PROOF)))
        return "sign in again: caponier login";
    return "a proxy in between may not let WebSocket pass: ask whoever runs it";
}

static void
tell_refusal(probe *p, const cpn_httpc_reply *reply)
{
    char sentence[CPN_LAST_WORDS];

    if (reply->body.n > 0)
        cpn_reason_sentence_of(cpn_buf_view(&reply->body), sentence);
    else
        snprintf(sentence, sizeof(sentence), "the answer has the status %d", reply->status);
    cpn_doctor_line(p->d, "tunnel", CPN_HEALTH_FAIL, refusal_hint(cpn_buf_view(&reply->body)), "%s",
                    sentence);
}

/* Does our TLS connection end at the gateway? It says so itself. */
static void
tell_binding(probe *p, const cpn_httpc_reply *reply)
{
    cpn_view said = cpn_http_header(&reply->head, CPN_TUNNEL_BINDING_FIELD);

    if (cpn_view_is(said, "exporter"))
        cpn_doctor_line(p->d, "binding", CPN_HEALTH_OK, NULL,
                        "the gateway sees the same TLS connection as this machine");
    else if (said.n && p->d->api->ctx.key.set)
        cpn_doctor_line(p->d, "binding", CPN_HEALTH_WARN,
                        "somebody opens TLS on the way and can read the sign-in's token: have the "
                        "gateway left out of TLS inspection",
                        "the gateway sees another TLS connection; the certificate here is issued "
                        "by %s",
                        reply->issuer[0] ? reply->issuer : "somebody who is not named");
    else if (said.n)
        cpn_doctor_line(p->d, "binding", CPN_HEALTH_OK, NULL,
                        "this sign-in has no key; the next 'caponier login' makes one");
}

static void
on_upgraded(void *owner, cpn_httpc_reply *reply, const cpn_err *why)
{
    probe *p = owner;
    cpn_carrier_opts opts = { .role = CPN_WS_CLIENT, .events = &events, .owner = p };
    cpn_err err = { 0 };

    if (why->rc != CPN_OK)
        cpn_doctor_line(p->d, "tunnel", CPN_HEALTH_FAIL,
                        "a proxy in between may not let WebSocket pass: ask whoever runs it", "%s",
                        why->msg);
    else if (reply->status != 101 || !reply->tls)
        tell_refusal(p, reply);
    else if (cpn_carrier_new(&p->carrier, p->loop, cpn_steal(&reply->tls), &opts, &err) != CPN_OK)
        cpn_doctor_line(p->d, "tunnel", CPN_HEALTH_FAIL, NULL, "%s", err.msg);
    if (!p->carrier) {
        uv_stop(&p->uv);
        return;
    }
    cpn_doctor_line(p->d, "tunnel", CPN_HEALTH_OK, NULL, "a tunnel's connection was made");
    tell_binding(p, reply);
    if (p->target)
        open_stream(p);
    else
        leave(p);
}

static void
on_deadline(uv_timer_t *timer)
{
    probe *p = timer->data;

    if (!p->told && p->target)
        cpn_doctor_line(p->d, "port", CPN_HEALTH_FAIL, "try again",
                        "the gateway did not say in time whether %s can be reached",
                        p->target->label);
    p->told = true;
    uv_stop(&p->uv);
}

static cpn_rc
start(probe *p, cpn_err *err)
{
    cpn_httpc_req req = { .gateway = &p->d->api->url,
                          .ctx = p->d->api->tls,
                          .method = "GET",
                          .target = "/v1/tunnel",
                          .timeout_ms = CONNECT_MS,
                          .bearer = cpn_secret_view(&p->d->api->ctx.access_token),
                          .key = &p->d->api->ctx.key,
                          .more = CPN_VIEW_LIT("Caponier-Client: 1\r\n"),
                          .websocket = CPN_TUNNEL_SUBPROTOCOL };
    cpn_httpc *h;

    uv_timer_init(&p->uv, &p->deadline);
    p->deadline.data = p;
    uv_timer_start(&p->deadline, on_deadline, CONNECT_MS + OPEN_MS, 0);
    return cpn_httpc_start(&h, p->loop, &req, on_upgraded, p, err);
}

void
cpn_doctor_tunnel(cpn_doctor *d, const cpn_target *t)
{
    probe p = { .d = d, .target = t, .end = -1, .memory = { .max = 64u << 20 } };
    cpn_err err = { 0 };

    if (uv_loop_init(&p.uv) != 0)
        return;
    if (cpn_loop_new(&p.loop, &p.uv, &p.memory, &err) == CPN_OK) {
        if (start(&p, &err) == CPN_OK)
            uv_run(&p.uv, UV_RUN_DEFAULT);
        else
            cpn_doctor_line(d, "tunnel", CPN_HEALTH_FAIL, NULL, "%s", err.msg);
        cpn_carrier_free(p.carrier);
        uv_close((uv_handle_t *)&p.deadline, NULL);
        uv_run(&p.uv, UV_RUN_NOWAIT); /* a turn for what the connection left to free */
        cpn_loop_free(p.loop);
    }
    while (uv_run(&p.uv, UV_RUN_DEFAULT) != 0)
        ;
    uv_loop_close(&p.uv);
    if (p.end >= 0)
        close(p.end);
}
