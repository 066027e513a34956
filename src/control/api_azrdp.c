/* GET /api/rdpfile, POST /api/connection: what the Azure CLI asks besides tokens. */
#include <stdio.h>

#include "control/azbastion.h"
#include "control/azwant.h"
#include "control/reply.h"
#include "control/usage.h"

/* Where the file says that the tunnel listens, unless localport says otherwise. */
#define LOCAL_PORT 53389

/* ---- the file ---- */

/* One setting a line, ended as Windows ends lines; no text of a peer is in it but the machine's
 * name, which has no byte that could end one. No gateway is used: there is no RD Gateway here, the
 * file is for the near end of a tunnel. */
static void
rdp_write(char *out, size_t size, const char *host, uint16_t port, uint16_t local)
{
    snprintf(out, size,
             "full address:s:127.0.0.1:%u\r\n"
             "alternate full address:s:127.0.0.1:%u\r\n"
             "server port:i:%u\r\n"
             "kdcproxyname:s:\r\n"
             "gatewayhostname:s:\r\n"
             "gatewayusagemethod:i:0\r\n"
             "gatewayprofileusagemethod:i:1\r\n"
             "gatewaycredentialssource:i:4\r\n"
             "enablerdsaadauth:i:0\r\n"
             "prompt for credentials:i:1\r\n"
             "authentication level:i:2\r\n"
             "enablecredsspsupport:i:1\r\n"
             "negotiate security layer:i:1\r\n"
             "redirectclipboard:i:1\r\n"
             "redirectprinters:i:0\r\n"
             "drivestoredirect:s:\r\n"
             "screen mode id:i:2\r\n"
             "use multimon:i:0\r\n"
             "dynamic resolution:i:1\r\n"
             "autoreconnection enabled:i:1\r\n"
             "caponier machine:s:%s\r\n"
             "caponier note:s:no RD Gateway; open the tunnel first: az network bastion tunnel "
             "--resource-port %u --port %u\r\n",
             local, local, local, host, port, local);
}

/* A number of the query; absent is `otherwise`, 0 is refused. */
static bool
port_read(const cpn_call *call, const char *name, uint16_t otherwise, uint16_t *out)
{
    cpn_view text = cpn_form_get(&call->query, name);
    uint64_t port = otherwise;

    if (text.p && (!cpn_view_u64(text, 65535, &port) || port == 0))
        return false;
    *out = (uint16_t)port;
    return true;
}

static bool
query_read(cpn_call *call, cpn_want *want, uint16_t *local, cpn_err *err)
{
    cpn_view format = cpn_form_get(&call->query, "format");
    cpn_view aad = cpn_form_get(&call->query, "enablerdsaad");
    cpn_resource_id hint;
    uint16_t port = 0;
    bool hinted;

    if (format.p && !cpn_view_is(format, "rdp"))
        return cpn_fail(err, CPN_INVALID, "format: expected rdp"), false;
    if (aad.p && !cpn_view_is_nocase(aad, "false"))
        return cpn_fail(err, CPN_INVALID,
                        "sign-in to the desktop by Entra ID is not to be had through this gateway; "
                        "use --auth-type password"),
               false;
    if (!port_read(call, "rdpport", 3389, &port) ||
        !port_read(call, "localport", LOCAL_PORT, local))
        return cpn_fail(err, CPN_INVALID, "rdpport, localport: expected a port from 1 to 65535"),
               false;
    if (cpn_az_want(want, cpn_form_get(&call->query, "resourceId"), (cpn_view){ NULL, 0 }, port,
                    &hint, &hinted, err) != CPN_OK)
        return false;
    cpn_az_bastion(call->c, cpn_call_who(call), want, hinted ? &hint : NULL, NULL);
    return true;
}

static void
rdpfile_show(cpn_call *call)
{
    cpn_control *c = call->c;
    cpn_asked a = { .who = cpn_call_who(call),
                    .door = CPN_DOOR_AZURE,
                    .peer = call->peer,
                    .peer_port = call->peer_port,
                    .user_agent = call->user_agent };
    char text[4096], sentence[2048];
    uint16_t local = 0;
    cpn_err err = { 0 };

    if (cpn_usage_rate(c->sessions->usage, a.who->object_id, (unsigned)c->set.tickets_per_minute,
                       cpn_mono_ms()) != CPN_OK) {
        cpn_reply_reason(call, CPN_WHY_LIMIT_RATE);
        return;
    }
    if (!query_read(call, &a.want, &local, &err)) {
        cpn_reply_rc(call, CPN_INVALID, err.msg, NULL);
        return;
    }
    if (cpn_ask(c, &a, false) != CPN_OK) {
        cpn_verdict_sentence(&a.verdict, sentence, sizeof(sentence));
        cpn_reply_error(call, cpn_reason_http(a.verdict.why), cpn_reason_word(a.verdict.why),
                        sentence, NULL);
        return;
    }
    rdp_write(text, sizeof(text), a.verdict.machine ? a.verdict.machine->name : a.want.target_ip,
              a.want.port, local);
    cpn_reply_text(call, "application/x-rdp; charset=utf-8", text);
}

/* ---- Developer and QuickConnect ---- */

/* A port as a number or as its digits: clients send either. */
static bool
json_port(const json_t *v, uint64_t *out)
{
    *out = (uint64_t)json_integer_value(v);
    if (json_is_string(v))
        return cpn_view_u64(cpn_view_str(json_string_value(v)), 65535, out) && *out > 0;
    return json_is_integer(v) && json_integer_value(v) > 0 && json_integer_value(v) <= 65535;
}

/* True: absent, or the id of some resource. */
static bool
bastion_read(const cpn_call *call, const char **out)
{
    cpn_resource_id id;
    cpn_err err = { 0 };

    *out = cpn_json_string(call->json, "bastionResourceId");
    return !(*out)[0] || cpn_resource_id_parse(&id, cpn_view_str(*out), &err) == CPN_OK;
}

/* Which data pod serves this? The client takes the body for a host, whatever the status says; so a
 * refusal of policy is left to the token request that follows there, and the bastion that is named
 * here is remembered for it. */
static void
connection_answer(cpn_call *call)
{
    const char *type = cpn_json_string(call->json, "connectionType"), *bastion;
    cpn_resource_id hint;
    cpn_want want;
    cpn_err err = { 0 };
    uint64_t port = 0;
    bool hinted;

    if (!cpn_az_identify(call, cpn_view_str(cpn_json_string(call->json, "azToken"))))
        return;
    if (strcmp(type, "nativeclient") != 0)
        cpn_reply_rc(call, CPN_INVALID, "connectionType: expected nativeclient", NULL);
    else if (!json_port(json_object_get(call->json, "vmPort"), &port))
        cpn_reply_rc(call, CPN_INVALID, "vmPort: expected a port from 1 to 65535", NULL);
    else if (cpn_az_want(&want, cpn_view_str(cpn_json_string(call->json, "resourceId")),
                         (cpn_view){ NULL, 0 }, (uint16_t)port, &hint, &hinted, &err) != CPN_OK)
        cpn_reply_rc(call, CPN_INVALID, err.msg, NULL);
    else if (!bastion_read(call, &bastion))
        cpn_reply_rc(call, CPN_INVALID, "bastionResourceId: expected a bastion's resource id",
                     NULL);
    else {
        if (bastion[0] && want.target_id[0])
            cpn_az_name(call->c, call->claims.object_id, want.target_id, bastion);
        call->only_read = true;
        cpn_reply_text(call, "text/plain; charset=utf-8", call->c->host);
    }
}

const cpn_route cpn_routes_azrdp[] = {
    { "GET", "/api/rdpfile", CPN_SCOPE_SIGNED_IN, NULL, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_AZ,
      rdpfile_show },
    { "POST", "/api/connection", CPN_SCOPE_ANYONE, NULL, CPN_BODY_JSON, CPN_BODY_USUAL,
      "az.connection", CPN_ERRORS_AZ, connection_answer },
    { 0 },
};
