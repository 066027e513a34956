/* Finds the machine and the bastion that the options name. */
#include "client/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static cpn_rc
put(char *out, size_t size, const char *text, const char *what, cpn_err *err)
{
    if (!text || !text[0] || strlen(text) >= size)
        return cpn_fail(err, CPN_INVALID, "%s is empty or too long", what);
    memcpy(out, text, strlen(text) + 1);
    return CPN_OK;
}

/* The last name of an id; of a scale-set instance POOL_I, since its own name is a number. */
static void
label_of(cpn_target *t)
{
    cpn_resource_id id;

    if (t->address[0])
        snprintf(t->label, sizeof(t->label), "%s", t->address);
    else if (cpn_resource_id_parse(&id, cpn_view_str(t->resource), NULL) != CPN_OK)
        snprintf(t->label, sizeof(t->label), "%.80s", t->resource);
    else if (id.subname.n > 0)
        snprintf(t->label, sizeof(t->label), "%.*s_%.*s", CPN_VIEW_ARG(id.name),
                 CPN_VIEW_ARG(id.subname));
    else
        snprintf(t->label, sizeof(t->label), "%.*s", CPN_VIEW_ARG(id.name));
}

static cpn_rc
read_address(cpn_target *t, const char *text, cpn_err *err)
{
    cpn_addr a;
    cpn_rc rc = cpn_addr_parse(&a, cpn_view_str(text), err);

    if (rc != CPN_OK)
        return cpn_ctx(err, rc, "--target-ip-address");
    cpn_addr_text(&a, t->address);
    return CPN_OK;
}

static cpn_rc
check_id(const cpn_target *t, cpn_err *err)
{
    cpn_resource_id id;
    cpn_rc rc;

    if (t->resource[0] != '/')
        return CPN_OK;
    rc = cpn_resource_id_parse(&id, cpn_view_str(t->resource), err);
    if (rc != CPN_OK)
        return cpn_ctx(err, rc, "--target-resource-id");
    if (!cpn_view_is_nocase(id.type, "virtualMachines") && id.subname.n == 0)
        return cpn_fail(
            err, CPN_INVALID,
            "--target-resource-id: neither a virtual machine nor an instance of a scale set");
    return CPN_OK;
}

cpn_rc
cpn_target_named(cpn_target *t, const cpn_cli *cli, const char *machine, unsigned port,
                 cpn_err *err)
{
    const char *bastion = cpn_args_get(&cli->args, "name");
    bool address = cpn_addr_parse(&(cpn_addr){ 0 }, cpn_view_str(machine), NULL) == CPN_OK;
    cpn_rc rc = CPN_OK;

    *t = (cpn_target){ .port = port };
    snprintf(t->asked, sizeof(t->asked), "%s", machine); /* too long is said below */
    if (bastion)
        rc = put(t->bastion, sizeof(t->bastion), bastion, "--name", err);
    if (rc == CPN_OK && address)
        rc = read_address(t, machine, err);
    else if (rc == CPN_OK)
        rc = put(t->resource, sizeof(t->resource), machine, "the machine's name", err);
    if (rc == CPN_OK && !address)
        rc = check_id(t, err);
    if (rc == CPN_OK)
        label_of(t);
    return rc;
}

cpn_rc
cpn_target_read(cpn_target *t, const cpn_cli *cli, cpn_err *err)
{
    const char *by_id = cpn_args_get(&cli->args, "target-resource-id");
    const char *by_ip = cpn_args_get(&cli->args, "target-ip-address");
    const char *by_name = cli->args.args > 0 ? cli->args.arg[0] : NULL;
    unsigned port = 0;
    cpn_addr address;
    cpn_rc rc;

    *t = (cpn_target){ 0 };
    if (!!by_id + !!by_ip + !!by_name != 1)
        return cpn_fail(
            err, CPN_INVALID,
            "name the machine once: by TARGET, --target-resource-id or --target-ip-address");
    rc = cpn_args_number(&cli->args, "resource-port", 1, 65535, &port, err);
    if (rc == CPN_OK && by_ip && cpn_addr_parse(&address, cpn_view_str(by_ip), err) != CPN_OK)
        rc = cpn_ctx(err, CPN_INVALID, "--target-ip-address");
    if (rc != CPN_OK)
        return rc;
    return cpn_target_named(t, cli, by_id ? by_id : by_ip ? by_ip : by_name, port, err);
}

static void
set_text(json_t *o, const char *key, const char *value)
{
    if (value && value[0])
        json_object_set_new(o, key, json_string(value));
}

/* Who may not see the bastion cannot have its name turned into an id; what was given can still say
 * which one is meant, and can-i then names the missing roles. */
static bool
compose_bastion(cpn_target *t, cpn_api *a)
{
    const char *group = cpn_args_get(&a->cli->args, "resource-group");
    const char *sub = cpn_args_get(&a->cli->args, "subscription");
    cpn_resource_id id = { 0 };
    char name[CPN_NAME_MAX + 1];
    int n;

    if (t->bastion[0] == '/' || !t->bastion[0] || strlen(t->bastion) > CPN_NAME_MAX)
        return t->bastion[0] == '/';
    if (t->resource[0] == '/' &&
        cpn_resource_id_parse(&id, cpn_view_str(t->resource), NULL) != CPN_OK)
        return false;
    if (!sub && id.subscription.n == 0)
        sub = a->ctx.subscription;
    if ((!sub && id.subscription.n == 0) || (!group && id.group.n == 0))
        return false;
    memcpy(name, t->bastion, strlen(t->bastion) + 1);
    n = snprintf(
        t->bastion, sizeof(t->bastion),
        "/subscriptions/%.*s/resourceGroups/%.*s/providers/Microsoft.Network/bastionHosts/%s",
        CPN_VIEW_ARG(sub ? cpn_view_str(sub) : id.subscription),
        CPN_VIEW_ARG(group ? cpn_view_str(group) : id.group), name);
    return n > 0 && (size_t)n < sizeof(t->bastion);
}

/* The gateway's answer into t. Its machine's name is told and offered for pasting, so it must be
 * one. */
static cpn_rc
take(cpn_target *t, const json_t *got, cpn_err *err)
{
    cpn_resource_id id;
    cpn_rc rc =
        put(t->bastion, sizeof(t->bastion), json_string_value(json_object_get(got, "bastion")),
            "the gateway's bastion id", err);

    if (rc == CPN_OK && !t->address[0])
        rc = put(t->resource, sizeof(t->resource),
                 json_string_value(json_object_get(got, "targetResourceId")),
                 "the gateway's machine id", err);
    if (rc == CPN_OK && !t->address[0] &&
        cpn_resource_id_parse(&id, cpn_view_str(t->resource), NULL) != CPN_OK)
        rc = cpn_fail(err, CPN_E_PROTO, "the gateway's machine id is none");
    return rc;
}

/* The gateway says that something is not there; which of what was typed. */
static cpn_rc
name_missing(const cpn_target *t, cpn_err *err)
{
    bool bastion = t->bastion[0] && strstr(err->msg, "no such bastion");

    return cpn_ctx(err, CPN_NOT_FOUND, "%s", bastion ? t->bastion : t->asked);
}

cpn_rc
cpn_target_resolve(cpn_target *t, cpn_api *a, json_t **said, cpn_err *err)
{
    json_auto_t *ask = json_object();
    json_auto_t *got = NULL;
    const char *sub = cpn_args_get(&a->cli->args, "subscription");
    bool exact = t->address[0] || t->resource[0] == '/';
    cpn_rc rc;

    set_text(ask, "bastion", t->bastion);
    set_text(ask, "resourceGroup", cpn_args_get(&a->cli->args, "resource-group"));
    set_text(ask, "subscription", sub ? sub : a->ctx.subscription);
    set_text(ask, "target", t->address[0] ? t->address : t->resource);
    if (t->port)
        json_object_set_new(ask, "port", json_integer(t->port));
    if (t->connects)
        json_object_set_new(ask, "connect", json_true());
    rc = cpn_api_call(a, "POST", "/v1/resolve", ask, &got, err);
    if (rc == CPN_NOT_FOUND && exact && compose_bastion(t, a)) {
        json_decref(cpn_steal(&a->cli->problem));
        err->msg[0] = '\0';
        return CPN_OK;
    }
    if (rc == CPN_NOT_FOUND)
        return name_missing(t, err);
    if (rc == CPN_OK)
        rc = take(t, got, err);
    if (rc != CPN_OK)
        return rc;
    label_of(t);
    if (said)
        *said = cpn_steal(&got);
    return CPN_OK;
}

json_t *
cpn_target_json(const cpn_target *t)
{
    json_t *o = json_object();

    set_text(o, "bastion", t->bastion);
    set_text(o, "targetResourceId", t->resource);
    set_text(o, "targetIpAddress", t->address);
    json_object_set_new(o, "port", json_integer(t->port));
    return o;
}

/* What was resolved comes with the decision; a name that could not be still has one, which says why
 * not. */
cpn_rc
cpn_target_ask(cpn_target *t, cpn_api *a, cpn_err *err)
{
    json_auto_t *said = NULL;
    json_auto_t *question = NULL;
    json_auto_t *answer = NULL;
    const char *message;
    cpn_rc rc;

    t->connects = true;
    rc = cpn_target_resolve(t, a, &said, err);
    answer = json_incref(json_object_get(said, "decision"));
    if (rc == CPN_OK && !answer) {
        question = cpn_target_json(t);
        json_object_set_new(question, "connect", json_true());
        rc = cpn_api_call(a, "POST", "/v1/can-i", question, &answer, err);
    }
    if (rc != CPN_OK || json_is_true(json_object_get(answer, "allowed")))
        return rc;
    message = json_string_value(json_object_get(answer, "message"));
    if (cpn_cli_roles_missing(answer))
        message = "you need these roles";
    rc = cpn_fail(err, CPN_DENIED, "%s, port %u: refused: %s", t->label, t->port,
                  message ? message : "the gateway does not say why");
    a->cli->problem = cpn_steal(&answer);
    return rc;
}
