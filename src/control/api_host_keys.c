/* POST /v1/host-keys: one more SSH host key that a machine may show. It is kept without its
 * comment: with another one it is the same key. */
#include <stdio.h>
#include <stdlib.h>

#include "codec/hostkey.h"
#include "control/publish.h"
#include "control/reply.h"
#include "control/trail.h"

#define WRITE_ACTION "Microsoft.Compute/virtualMachines/write"

typedef struct approving {
    cpn_change change;
    cpn_call *call;
    const char *id; /* borrowed from the call's JSON */
    char key[CPN_HOSTKEY_MAX + 1];
} approving;

static bool
has(const json_t *keys, const char *key)
{
    const json_t *one;
    size_t i;

    json_array_foreach((json_t *)keys, i, one)
    {
        const char *text = json_string_value(one);
        size_t n = strlen(key);

        if (strncmp(text, key, n) == 0 && (text[n] == '\0' || text[n] == ' '))
            return true;
    }
    return false;
}

static cpn_rc
approve_build(void *owner, cpn_change *change, cpn_err *err)
{
    approving *a = owner;
    const json_t *now = cpn_snapshot_document(change->base, CPN_KIND_MACHINE, cpn_view_str(a->id));
    const char *id = cpn_snapshot_id(change->base, CPN_KIND_MACHINE, cpn_view_str(a->id));
    CPN_AUTO(cpn_json_auto) json_t *body = now ? json_deep_copy(now) : NULL;
    cpn_rc rc;

    if (!body || !id)
        return cpn_fail(err, CPN_NOT_FOUND, "there is no such machine");
    if (has(json_object_get(body, "sshHostKeys"), a->key)) {
        change->dry = true; /* as it shall be: no epoch; the record says only that it was asked */
        return CPN_OK;
    }
    if (!json_object_get(body, "sshHostKeys"))
        json_object_set_new(body, "sshHostKeys", json_array());
    json_array_append_new(json_object_get(body, "sshHostKeys"), json_string(a->key));
    rc = cpn_change_put(change, CPN_KIND_MACHINE, id, body, err);
    if (rc != CPN_OK)
        return rc;
    cpn_call_note(a->call, "target", id);
    cpn_call_note(a->call, "key", a->key);
    cpn_trail_call_in(change->batch, a->call, 200);
    return CPN_OK;
}

static void
approve_done(void *owner, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    approving *a = owner;
    cpn_call *call = a->call;
    const char *said = json_string_value(json_array_get(problems, 0));
    const json_t *body =
        cpn_snapshot_document(call->c->snapshot, CPN_KIND_MACHINE, cpn_view_str(a->id));

    if (rc == CPN_OK && body) {
        call->only_read = a->change.dry;
        cpn_reply_json(call, 200,
                       json_pack("{s:s,s:O}", "id", a->id, "sshHostKeys",
                                 json_object_get(body, "sshHostKeys")));
    } else {
        cpn_reply_rc(call, rc == CPN_OK ? CPN_NOT_FOUND : rc,
                     said  ? said
                     : err ? err->msg
                           : NULL,
                     err);
    }
    free(a);
}

static cpn_rc
take_key(approving *a, const char *given, cpn_err *err)
{
    cpn_hostkey k;
    cpn_rc rc = cpn_hostkey_parse(&k, cpn_view_str(given), err);

    if (rc != CPN_OK)
        return cpn_ctx(err, rc, "key");
    snprintf(a->key, sizeof(a->key), "%.*s %.*s", CPN_VIEW_ARG(k.type), CPN_VIEW_ARG(k.base64));
    return CPN_OK;
}

static void
host_key_approve(cpn_call *call)
{
    static const char *const names[] = { "scope", "key", NULL };
    approving *a = cpn_xcalloc(1, sizeof(*a));
    const char *given = NULL;
    cpn_err err = { 0 };
    cpn_rc rc;

    a->call = call;
    if ((rc = cpn_json_only(call->json, "", names, &err)) == CPN_OK &&
        (rc = cpn_json_get_str(call->json, "", "scope", CPN_ID_MAX, &a->id, &err)) == CPN_OK &&
        (rc = cpn_json_get_str(call->json, "", "key", CPN_HOSTKEY_MAX, &given, &err)) == CPN_OK &&
        (rc = take_key(a, given, &err)) == CPN_OK) {
        a->change =
            (cpn_change){ .build = approve_build, .done = approve_done, .owner = a, .call = call };
        rc = cpn_publish_ask(call->c, &a->change);
    }
    if (rc == CPN_OK)
        return;
    free(a);
    cpn_reply_rc(call, rc, err.msg[0] ? err.msg : NULL, NULL);
}

const cpn_route cpn_routes_host_keys[] = {
    { "POST", "/v1/host-keys", CPN_SCOPE_BODY, WRITE_ACTION, CPN_BODY_JSON, CPN_BODY_USUAL,
      "machine.host_key", CPN_ERRORS_API, host_key_approve },
    { 0 },
};
