/* The gateway itself: is it one, what time has it, does it know us, may we. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/doctor.h"
#include "client/why.h"
#include "codec/httpdate.h"
#include "net/httpc.h"

/* "3 min" */
static const char *
span(int64_t s, char out[32])
{
    static const struct {
        int64_t s;
        const char *unit;
    } units[] = { { 86400, "days" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
    size_t i = 0;

    s = s < 0 ? -s : s;
    while (i + 1 < CPN_COUNT(units) && s < 2 * units[i].s)
        i++;
    snprintf(out, 32, "%lld %s", (long long)(s / units[i].s), units[i].unit);
    return out;
}

/* By the Date of an answer; half a round trip does not matter. */
static bool
tell_clock(cpn_doctor *d, const cpn_httpc_reply *reply)
{
    cpn_view date = cpn_http_header(&reply->head, "date");
    int64_t theirs, ahead;
    char text[32];

    if (cpn_httpdate_read(date, &theirs) != CPN_OK) {
        cpn_doctor_line(d, "clock", CPN_HEALTH_WARN,
                        "compare this machine's clock with another one yourself",
                        "the gateway does not say what time it has");
        return true;
    }
    ahead = cpn_wall_s() - theirs;
    if (llabs(ahead) <= CPN_DOCTOR_SKEW_S) {
        cpn_doctor_line(d, "clock", CPN_HEALTH_OK, NULL, "%lld s from the gateway's",
                        (long long)llabs(ahead));
        return true;
    }
    cpn_doctor_line(d, "clock", CPN_HEALTH_FAIL,
                    "set the wrong one of the two clocks (timedatectl set-ntp true): tokens and "
                    "certificates are valid by time",
                    "this machine's clock is %s %s the gateway's", span(ahead, text),
                    ahead > 0 ? "ahead of" : "behind");
    return true;
}

/* Anybody may ask which version it is. */
static bool
ask_version(cpn_doctor *d)
{
    cpn_httpc_req req = { .gateway = &d->api->url,
                          .ctx = d->api->tls,
                          .method = "GET",
                          .target = "/v1/version",
                          .response_max = 65536 };
    cpn_httpc_reply reply = { 0 };
    json_auto_t *got = NULL;
    cpn_err err = { 0 };
    cpn_rc rc = cpn_httpc_call(&req, &reply, &err);
    const char *name, *version;

    if (rc == CPN_OK)
        got = json_loadb((const char *)reply.body.p, reply.body.n, JSON_REJECT_DUPLICATES, NULL);
    name = json_string_value(json_object_get(got, "name"));
    version = json_string_value(json_object_get(got, "version"));
    if (rc != CPN_OK)
        cpn_doctor_line(d, "gateway", CPN_HEALTH_FAIL,
                        "try again; if it stays so, ask whoever runs the gateway", "%s", err.msg);
    else if (reply.status == 503)
        cpn_doctor_line(d, "gateway", CPN_HEALTH_FAIL, "wait a moment and try again",
                        "the gateway is starting or overloaded (status 503)");
    else if (reply.status != 200 || !name || strcmp(name, "caponier") != 0)
        cpn_doctor_line(d, "gateway", CPN_HEALTH_FAIL,
                        "check the gateway's URL, and any proxy in between",
                        "what answers is no Caponier gateway (status %d)", reply.status);
    else
        cpn_doctor_line(d, "gateway", CPN_HEALTH_OK, NULL, "Caponier %s",
                        version ? version : "of an unknown version");
    if (rc == CPN_OK && got && name)
        tell_clock(d, &reply);
    cpn_httpc_reply_fini(&reply);
    return rc == CPN_OK && d->worst != CPN_HEALTH_FAIL;
}

static bool
tell_token(cpn_doctor *d)
{
    json_auto_t *who = NULL;
    cpn_err err = { 0 };
    char left[32];
    const char *name;
    cpn_rc rc = cpn_api_renew(d->api, false, &err);

    if (rc == CPN_OK)
        rc = cpn_api_call(d->api, "GET", "/v1/whoami", NULL, &who, &err);
    json_decref(cpn_steal(&d->api->cli->problem));
    if (rc != CPN_OK) {
        cpn_doctor_line(d, "token", CPN_HEALTH_FAIL,
                        rc == CPN_UNAUTHENTICATED ? "sign in: caponier login"
                                                  : "try again; if it stays so, sign in anew",
                        "%s", err.msg);
        return false;
    }
    name = json_string_value(json_object_get(who, "name"));
    cpn_doctor_line(d, "token", CPN_HEALTH_OK, NULL, "%s, valid for %s", name ? name : "signed in",
                    span(d->api->ctx.expires_s - cpn_wall_s(), left));
    return true;
}

bool
cpn_doctor_gateway(cpn_doctor *d)
{
    return ask_version(d) && tell_token(d);
}

static void
tell_missing(cpn_doctor *d, const json_t *answer)
{
    json_auto_t *rows = cpn_why_rows(answer, d->api->ctx.user);
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        const char *role = json_string_value(json_object_get(row, "role"));

        cpn_doctor_line(
            d, "roles", CPN_HEALTH_FAIL, json_string_value(json_object_get(row, "mend")),
            "%s%s%s%s%s", json_string_value(json_object_get(row, "message")),
            role && role[0] ? ": " : "", role ? role : "", role && role[0] ? " on " : "",
            role && role[0] ? json_string_value(json_object_get(row, "scope")) : "");
    }
}

bool
cpn_doctor_roles(cpn_doctor *d, cpn_target *t)
{
    json_auto_t *ask = NULL;
    json_auto_t *answer = NULL;
    cpn_err err = { 0 };
    cpn_rc rc = cpn_target_resolve(t, d->api, NULL, &err);

    if (rc == CPN_OK) {
        ask = cpn_target_json(t);
        rc = cpn_api_call(d->api, "POST", "/v1/can-i", ask, &answer, &err);
    }
    json_decref(cpn_steal(&d->api->cli->problem));
    if (rc != CPN_OK) {
        cpn_doctor_line(d, "roles", CPN_HEALTH_FAIL,
                        "caponier vm list shows what you may see; ask an administrator for Reader "
                        "on the rest",
                        "%s", err.msg);
        return false;
    }
    if (!json_is_true(json_object_get(answer, "allowed"))) {
        tell_missing(d, answer);
        return false;
    }
    cpn_doctor_line(d, "roles", CPN_HEALTH_OK, NULL, "you may connect to %s port %u", t->label,
                    t->port);
    return true;
}
