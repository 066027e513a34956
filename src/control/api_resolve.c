/* POST /v1/resolve: from the names that people use to the ids of a bastion and a machine. */
#include <stdio.h>

#include "control/asked.h"
#include "control/azbastion.h"
#include "control/named.h"
#include "control/reply.h"

/* Answers for a name that fits none or several. */
static void
not_one(cpn_call *call, cpn_rc rc, const char *what, json_t *candidates)
{
    char sentence[160];

    if (rc == CPN_EXISTS) {
        snprintf(sentence, sizeof(sentence), "several %ss have this name; give the id", what);
        cpn_reply_error(call, 409, "ambiguous", sentence,
                        json_pack("{s:o}", "candidates", candidates));
        return;
    }
    snprintf(sentence, sizeof(sentence), "there is no such %s, or you may not see it", what);
    cpn_reply_rc(call, CPN_NOT_FOUND, sentence, NULL);
}

/* A bastion's name inside a group and a subscription, when they are given. */
static bool
inside(const char *id, const char *group, const char *subscription)
{
    cpn_resource_id r;
    cpn_err err = { 0 };

    if (!group[0] && !subscription[0])
        return true;
    if (cpn_resource_id_parse(&r, cpn_view_str(id), &err) != CPN_OK)
        return false;
    return (!group[0] || cpn_view_is_nocase(r.group, group)) &&
           (!subscription[0] || cpn_view_is_nocase(r.subscription, subscription));
}

typedef struct bastions {
    const char *name, *group, *subscription;
    const char *found;
    json_t *all;
} bastions;

static bool
collect(void *owner, const char *id, const json_t *body)
{
    bastions *b = owner;

    (void)body;
    if (!cpn_last_name_is(id, b->name) || !inside(id, b->group, b->subscription))
        return true;
    b->found = id;
    if (json_array_size(b->all) < CPN_CANDIDATES_MAX)
        json_array_append_new(b->all, json_string(id));
    return true;
}

/* False: answered. */
static bool
find_bastion(cpn_call *call, const bastions *asked, cpn_want *want)
{
    bastions b = *asked;
    cpn_rc rc;

    if (!b.name[0]) {
        cpn_az_bastion(call->c, cpn_call_who(call), want, NULL, NULL);
        if (want->bastion[0])
            return true;
        not_one(call, CPN_NOT_FOUND, "bastion", NULL);
        return false;
    }
    if (b.name[0] == '/') {
        rc = cpn_named_resource(call->c->snapshot, cpn_call_who(call), CPN_KIND_BASTION, b.name,
                                want->bastion, NULL);
        if (rc != CPN_OK)
            not_one(call, rc, "bastion", NULL);
        return rc == CPN_OK;
    }
    b.all = json_array();
    cpn_snapshot_each(call->c->snapshot, CPN_KIND_BASTION, cpn_call_who(call), collect, &b);
    if (json_array_size(b.all) == 1) {
        snprintf(want->bastion, sizeof(want->bastion), "%s", b.found);
        json_decref(b.all);
        return true;
    }
    rc = json_array_size(b.all) ? CPN_EXISTS : CPN_NOT_FOUND;
    if (rc == CPN_NOT_FOUND)
        json_decref(b.all);
    not_one(call, rc, "bastion", b.all);
    return false;
}

/* The machine behind an address, for a caller who may connect to it. */
static const cpn_machine *
machine_at(const cpn_call *call, const cpn_want *want)
{
    cpn_facts facts = cpn_want_facts(want, cpn_call_who(call));
    cpn_verdict v;

    return cpn_decide(call->c->snapshot, &facts, &v) == CPN_OK ? v.machine : NULL;
}

/* False: answered. */
static bool
find_target(cpn_call *call, const char *target, cpn_want *want)
{
    json_t *candidates = NULL;
    cpn_addr address;
    cpn_rc rc;

    if (cpn_addr_parse(&address, cpn_view_str(target), NULL) == CPN_OK) {
        cpn_addr_text(&address, want->target_ip);
        return true;
    }
    rc = cpn_named_resource(call->c->snapshot, cpn_call_who(call), CPN_KIND_MACHINE, target,
                            want->target_id, &candidates);
    if (rc != CPN_OK)
        not_one(call, rc, "machine", candidates);
    return rc == CPN_OK;
}

static json_t *
keys_of(const cpn_machine *m)
{
    cpn_view rest = cpn_view_str(m ? m->host_key : "");
    json_t *keys = json_array();
    cpn_view key;
    bool more = rest.n > 0;

    while (more) {
        more = cpn_view_cut(rest, '\n', &key, &rest);
        json_array_append_new(keys, json_stringn((const char *)key.p, key.n));
    }
    return keys;
}

static void
answer(cpn_call *call, const cpn_want *want, bool decide, bool connect)
{
    const cpn_machine *m =
        want->target_ip[0] ? machine_at(call, want)
                           : cpn_snapshot_machine(call->c->snapshot, cpn_view_str(want->target_id));
    json_t *said = json_pack("{s:s,s:o}", "bastion", want->bastion, "sshHostKeys", keys_of(m));

    if (want->target_ip[0])
        json_object_set_new(said, "targetIpAddress", json_string(want->target_ip));
    if (m) {
        json_object_set_new(said, "targetResourceId", json_string(m->id));
        json_object_set_new(said, "name", json_string(m->name));
    }
    if (decide)
        json_object_set_new(said, "decision", cpn_call_decision(call, want, connect));
    cpn_reply_json(call, 200, said);
}

static void
resolve(cpn_call *call)
{
    static const char *const names[] = { "bastion", "resourceGroup", "subscription",
                                         "target",  "port",          "connect",
                                         NULL };
    bastions asked = { .name = "", .group = "", .subscription = "" };
    const char *target = "";
    int64_t port = 22;
    bool connect = false;
    cpn_err err = { 0 };
    cpn_want want = { 0 };

    if (cpn_json_only(call->json, "", names, &err) != CPN_OK ||
        cpn_json_opt_str(call->json, "", "bastion", CPN_ID_MAX, &asked.name, &err) != CPN_OK ||
        cpn_json_opt_str(call->json, "", "resourceGroup", CPN_GROUP_NAME_BYTES_MAX, &asked.group,
                         &err) != CPN_OK ||
        cpn_json_opt_str(call->json, "", "subscription", CPN_NAME_MAX, &asked.subscription, &err) !=
            CPN_OK ||
        cpn_json_get_str(call->json, "", "target", CPN_ID_MAX, &target, &err) != CPN_OK ||
        cpn_json_opt_int(call->json, "", "port", (cpn_json_range){ 1, 65535 }, &port, &err) !=
            CPN_OK ||
        cpn_json_opt_bool(call->json, "", "connect", &connect, &err) != CPN_OK) {
        cpn_reply_rc(call, CPN_INVALID, err.msg, NULL);
        return;
    }
    call->only_read = true;
    want.port = (uint16_t)port;
    if (find_target(call, target, &want) && find_bastion(call, &asked, &want))
        answer(call, &want, json_object_get(call->json, "port"), connect);
}

const cpn_route cpn_routes_resolve[] = {
    { "POST", "/v1/resolve", CPN_SCOPE_EACH, "*/read", CPN_BODY_JSON, CPN_BODY_USUAL,
      "inventory.resolved", CPN_ERRORS_API, resolve },
    { 0 },
};
