/* The way to the gateway: looked at while it is gone, exactly as every other command goes it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/doctor.h"
#include "model/addr.h"
#include "net/dial.h"
#include "net/proxy.h"

#define LIST_MAX (CPN_DIAL_ADDRESSES * (CPN_ADDR_TEXT + 2))

/* One dial with all that was seen on the way. */
typedef struct trip {
    cpn_dial_trace trace;
    cpn_proxy proxy;
    const char *host; /* whom we connect to ourselves: the proxy or the gateway */
    uint16_t port;
    cpn_err err;
    char issuer[CPN_TLS_ISSUER_SIZE];
    char version[16];
} trip;

static void
on_dialed(void *owner, CPN_TAKES cpn_tls *t, const cpn_err *err)
{
    trip *r = owner;

    r->err = *err;
    if (!t)
        return;
    r->err.rc = CPN_OK;
    cpn_tls_set_owner(t, NULL, NULL);
    (void)cpn_tls_issuer(t, r->issuer);
    snprintf(r->version, sizeof(r->version), "%s", cpn_tls_version(t));
    cpn_tls_free(t);
}

static cpn_rc
travel(const cpn_api *a, cpn_tls_ctx *ctx, trip *r, cpn_err *err)
{
    cpn_dial_to to = {
        .host = a->url.host, .port = a->url.port, .ctx = ctx, .proxy = &r->proxy, .trace = &r->trace
    };
    cpn_quota quota = { .max = 16u << 20 };
    cpn_loop *loop;
    uv_loop_t uv;
    cpn_dial *d;
    cpn_rc rc;

    if (uv_loop_init(&uv) < 0)
        return cpn_fail(err, CPN_E_SYS, "event loop");
    if ((rc = cpn_loop_new(&loop, &uv, &quota, err)) == CPN_OK) {
        if ((rc = cpn_dial_start(&d, loop, &to, on_dialed, r, err)) == CPN_OK)
            uv_run(&uv, UV_RUN_DEFAULT);
        cpn_loop_free(loop);
    }
    uv_run(&uv, UV_RUN_DEFAULT);
    uv_loop_close(&uv);
    return rc;
}

/* ---- the lines ---- */

static const char *
list_addresses(const cpn_dial_trace *t, char out[LIST_MAX])
{
    int n = 0;

    out[0] = '\0';
    for (int i = 0; i < t->addresses; i++) {
        char text[CPN_ADDR_TEXT];
        cpn_addr a;

        if (cpn_addr_from_sockaddr(&a, &(uint16_t){ 0 }, (const struct sockaddr *)&t->address[i]))
            n += snprintf(out + n, LIST_MAX - (size_t)n, "%s%s", n ? ", " : "",
                          cpn_addr_text(&a, text));
    }
    return out;
}

static bool
tell_name(cpn_doctor *d, const trip *r)
{
    const char *proxied = r->proxy.url.host[0] ? "the proxy " : "";
    char list[LIST_MAX];

    if (r->trace.addresses == 0) {
        cpn_doctor_line(d, "dns", CPN_HEALTH_FAIL,
                        "check how the name is spelled and that this machine's resolver works "
                        "(/etc/resolv.conf)",
                        "%s", r->err.msg);
        return false;
    }
    list_addresses(&r->trace, list);
    if (strcmp(list, r->host) == 0)
        cpn_doctor_line(d, "dns", CPN_HEALTH_OK, NULL, "%s%s is an address", proxied, r->host);
    else
        cpn_doctor_line(d, "dns", CPN_HEALTH_OK, NULL, "%s%s is %s (%u ms)", proxied, r->host, list,
                        r->trace.ms[CPN_DIAL_NAME]);
    return true;
}

/* Asks the kernel which way a packet would take; nothing is sent. 0 or an errno. */
static int
route_error(const struct sockaddr_storage *to, cpn_addr *from)
{
    CPN_AUTO(cpn_auto_fd) int fd = socket(to->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_storage own;
    socklen_t n = sizeof(own);

    if (fd < 0 || connect(fd, (const struct sockaddr *)to,
                          to->ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                   : sizeof(struct sockaddr_in6)) < 0)
        return errno;
    if (getsockname(fd, (struct sockaddr *)&own, &n) < 0 ||
        !cpn_addr_from_sockaddr(from, &(uint16_t){ 0 }, (const struct sockaddr *)&own))
        return EAFNOSUPPORT;
    return 0;
}

static bool
tell_route(cpn_doctor *d, const trip *r)
{
    char text[CPN_ADDR_TEXT] = "";
    int ways = 0, error = 0;

    for (int i = 0; i < r->trace.addresses; i++) {
        cpn_addr from;
        int e = route_error(&r->trace.address[i], &from);

        error = e ? e : error;
        if (e == 0 && ways++ == 0)
            cpn_addr_text(&from, text);
    }
    if (ways == 0) {
        cpn_doctor_line(d, "route", CPN_HEALTH_FAIL,
                        "connect this machine to a network, or start the VPN that leads there",
                        "no way leads to %s: %s", r->host, strerror(error));
        return false;
    }
    cpn_doctor_line(d, "route", CPN_HEALTH_OK, NULL, "from %s; a way leads to %d of %d addresses",
                    text, ways, r->trace.addresses);
    return true;
}

static const char *
tcp_hint(const trip *r)
{
    bool proxied = r->proxy.url.host[0];

    for (int i = 0; i < r->trace.addresses; i++)
        if (r->trace.error[i] == ECONNREFUSED)
            return proxied ? "check the proxy's port in https_proxy; nobody listens there"
                           : "check that the gateway runs, and the port in its URL";
    return proxied
               ? "check the proxy's address in https_proxy"
               : "a firewall may drop what is sent there: ask for the port to be let out, or for "
                 "the proxy to set https_proxy to";
}

static bool
tell_tcp(cpn_doctor *d, const trip *r)
{
    char text[CPN_ADDR_TEXT] = "?";
    cpn_addr a;
    int i = r->trace.connected;

    if (i < 0) {
        cpn_doctor_line(d, "tcp", CPN_HEALTH_FAIL, tcp_hint(r), "%s", r->err.msg);
        return false;
    }
    if (cpn_addr_from_sockaddr(&a, &(uint16_t){ 0 }, (const struct sockaddr *)&r->trace.address[i]))
        cpn_addr_text(&a, text);
    cpn_doctor_line(d, "tcp", CPN_HEALTH_OK, NULL, "connected to %s port %u in %u ms%s", text,
                    r->port, r->trace.ms[CPN_DIAL_TCP],
                    i > 0 ? ", after other addresses did not answer" : "");
    return true;
}

static bool
tell_proxy(cpn_doctor *d, const trip *r)
{
    char name[CPN_URL_HOSTPORT_SIZE];

    if (!r->proxy.url.host[0]) {
        cpn_doctor_line(d, "proxy", CPN_HEALTH_OK, NULL, "none");
        return true;
    }
    if (r->trace.stage == CPN_DIAL_PROXY) {
        cpn_doctor_line(d, "proxy", CPN_HEALTH_FAIL,
                        r->err.rc == CPN_DENIED && strstr(r->err.msg, "(407)")
                            ? "set https_proxy=http://USER:PASSWORD@HOST:PORT, percent-encoded"
                            : "ask whoever runs the proxy to let CONNECT to the gateway pass, or "
                              "name the gateway in no_proxy",
                        "%s", r->err.msg);
        return false;
    }
    cpn_doctor_line(d, "proxy", CPN_HEALTH_OK, NULL, "%s leads to the gateway (%u ms)",
                    cpn_url_hostport(&r->proxy.url, name), r->trace.ms[CPN_DIAL_PROXY]);
    return true;
}

static const char *
tls_hint(const trip *r)
{
    if (strstr(r->err.msg, "not yet valid") || strstr(r->err.msg, "expired"))
        return "check this machine's clock; if it is right, the gateway needs a new certificate";
    if (strstr(r->err.msg, "mismatch"))
        return "use the name that the certificate has: the gateway's public_url";
    if (strstr(r->err.msg, "issued by"))
        return "if that issuer is the gateway's own, trust it by --ca FILE; otherwise somebody "
               "reads along on the way: ask who, and sign in from another network until then";
    return "something on the way speaks no TLS: check the port, and any proxy in between";
}

static const char *
trusted_by(const cpn_api *a)
{
    return a->ca ? a->ca : "this machine";
}

/* The certificate is good by what was asked for; is it also by the CA that one signed in with? */
static bool
another_issuer(cpn_doctor *d, const trip *r)
{
    const char *flag = cpn_args_get(&d->api->cli->args, "ca");
    CPN_AUTO(cpn_tls_ctx_auto) cpn_tls_ctx *ctx = NULL;
    cpn_tls_trust trust = { .ca_file = d->api->ctx.ca };
    trip again = { .proxy = r->proxy };
    bool other;

    if (!flag || !d->api->ctx.ca || strcmp(flag, d->api->ctx.ca) == 0 ||
        cpn_tls_ctx_client(&ctx, &trust, CPN_TLS_OPENSSL_AES, NULL) != CPN_OK)
        return false;
    other = travel(d->api, ctx, &again, NULL) == CPN_OK && again.err.rc == CPN_E_CRYPTO;
    cpn_proxy_wipe(&again.proxy);
    return other;
}

static bool
tell_tls(cpn_doctor *d, const trip *r)
{
    if (r->err.rc != CPN_OK) {
        cpn_doctor_line(d, "tls", CPN_HEALTH_FAIL, tls_hint(r), "%s", r->err.msg);
        return false;
    }
    if (another_issuer(d, r))
        cpn_doctor_line(
            d, "tls", CPN_HEALTH_WARN,
            "whoever has that CA reads along, the access token included: use it only if "
            "your organisation says so",
            "%s, issued by %s: trusted by %s, but not by the CA of the sign-in", r->version,
            r->issuer, trusted_by(d->api));
    else
        cpn_doctor_line(d, "tls", CPN_HEALTH_OK, NULL, "%s, issued by %s, trusted by %s",
                        r->version, r->issuer, trusted_by(d->api));
    return true;
}

bool
cpn_doctor_network(cpn_doctor *d)
{
    trip r = { .host = d->api->url.host, .port = d->api->url.port };
    cpn_err err = { 0 };
    bool through;

    if (cpn_proxy_choose(&r.proxy, r.host, r.port, &err) != CPN_OK) {
        cpn_doctor_line(d, "proxy", CPN_HEALTH_FAIL,
                        "correct that environment variable, or unset it", "%s", err.msg);
        return false;
    }
    if (r.proxy.url.host[0]) {
        r.host = r.proxy.url.host;
        r.port = r.proxy.url.port;
    }
    if (travel(d->api, d->api->tls, &r, &err) != CPN_OK) {
        cpn_doctor_line(d, "dns", CPN_HEALTH_FAIL, NULL, "%s", err.msg);
        return false;
    }
    through = tell_name(d, &r) && tell_route(d, &r) && tell_tcp(d, &r) && tell_proxy(d, &r) &&
              tell_tls(d, &r);
    cpn_proxy_wipe(&r.proxy);
    return through;
}
