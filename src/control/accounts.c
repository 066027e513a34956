/* Writes and reads the documents of people and services. */
#include "control/accounts.h"

#include <stdio.h>
#include <strings.h>

static bool
is_owner(const cpn_snapshot *s, const char *id, const json_t *body)
{
    const cpn_role_def *role = cpn_snapshot_role(s, cpn_view_str(cpn_json_string(body, "role")));

    return strncasecmp(id, "/providers/", strlen("/providers/")) == 0 &&
           strcmp(cpn_json_string(body, "effect"), "Deny") != 0 && role &&
           cpn_role_allows(role, CPN_PLANE_CONTROL,
                           "Microsoft.Authorization/roleAssignments/write");
}

typedef struct owners {
    const cpn_snapshot *s;
    bool any;
} owners;

static bool
look_for_owner(void *owner, const char *id, const json_t *body)
{
    owners *o = owner;

    o->any = is_owner(o->s, id, body);
    return !o->any;
}

bool
cpn_accounts_owned(const cpn_snapshot *s)
{
    owners o = { .s = s };

    cpn_snapshot_each(s, CPN_KIND_ASSIGNMENT, NULL, look_for_owner, &o);
    return o.any;
}

static bool
tell_cost(void *owner, const char *id, const json_t *body)
{
    (void)id;
    cpn_credential_kept(owner, cpn_json_string(body, "argon2id"));
    return true;
}

void
cpn_accounts_costs(const cpn_snapshot *s, cpn_identity *identity)
{
    cpn_snapshot_each(s, CPN_KIND_CREDENTIAL, NULL, tell_cost, identity);
}

const char *
cpn_account_id(const char *name, char out[CPN_UUID_TEXT])
{
    cpn_uuid id;

    cpn_uuid_of_name(&id, cpn_view_str(name));
    return cpn_uuid_text(&id, out);
}

void
cpn_account_assignment_id(const char *scope, char out[CPN_ID_MAX + 1])
{
    char guid[CPN_UUID_TEXT];
    cpn_uuid id;

    cpn_uuid_new(&id);
    snprintf(out, CPN_ID_MAX + 1, "%s/providers/Microsoft.Authorization/roleAssignments/%s",
             strcmp(scope, "/") == 0 ? "" : scope, cpn_uuid_text(&id, guid));
}

cpn_rc
cpn_account_put(cpn_change *change, const char *object_id, const char *name, const char *shown,
                cpn_err *err)
{
    json_t *body;
    cpn_rc rc;

    if (cpn_snapshot_principal(change->base, cpn_view_str(object_id)) ||
        cpn_snapshot_principal_by_name(change->base, cpn_view_str(name)))
        return cpn_fail(err, CPN_EXISTS, "this name is taken");
    body = json_pack("{s:s,s:s,s:s,s:b,s:i}", "type", "User", "name", name, "displayName", shown,
                     "enabled", 1, "sessionsMax", 0);
    rc = body ? cpn_change_put(change, CPN_KIND_PRINCIPAL, object_id, body, err)
              : cpn_fail(err, CPN_INVALID, "the name is not UTF-8");
    json_decref(body);
    return rc;
}

cpn_rc
cpn_account_credential(cpn_change *change, const char *object_id, const char *phc, cpn_err *err)
{
    json_t *body = json_pack("{s:s}", "argon2id", phc);
    cpn_rc rc = cpn_change_put(change, CPN_KIND_CREDENTIAL, object_id, body, err);

    json_decref(body);
    return rc;
}

typedef struct owned {
    const char *object_id;
    json_t *ids;
} owned;

static bool
collect_owned(void *owner, const char *id, const json_t *body)
{
    owned *o = owner;

    if (strcasecmp(cpn_json_string(body, "principalId"), o->object_id) == 0)
        json_array_append_new(o->ids, json_string(id));
    return true;
}

cpn_rc
cpn_account_delete(cpn_change *change, const char *object_id)
{
    owned o = { .object_id = object_id, .ids = json_array() };
    cpn_rc rc = cpn_change_delete(change, CPN_KIND_PRINCIPAL, object_id);
    json_t *id;
    size_t i;

    if (rc == CPN_OK) {
        (void)!cpn_change_delete(change, CPN_KIND_CREDENTIAL, object_id);
        cpn_snapshot_each(change->base, CPN_KIND_ASSIGNMENT, NULL, collect_owned, &o);
        json_array_foreach(o.ids, i, id)
        {
            /* An apply may have deleted it already. */
            (void)!cpn_change_delete(change, CPN_KIND_ASSIGNMENT, json_string_value(id));
        }
    }
    json_decref(o.ids);
    return rc;
}

bool
cpn_account_provisioned(const json_t *body)
{
    return json_is_true(json_object_get(json_object_get(body, "external"), "provisioned"));
}

json_t *
cpn_account_external_kept(const json_t *now, const json_t *body)
{
    json_t *was = json_object_get(now, "external"), *copy = json_deep_copy(body);
    json_t *is = json_object_get(copy, "external"), *groups = json_object_get(was, "groups");

    if (groups && strcmp(cpn_json_string(was, "issuer"), cpn_json_string(is, "issuer")) == 0 &&
        strcmp(cpn_json_string(was, "subject"), cpn_json_string(is, "subject")) == 0)
        json_object_set(is, "groups", groups);
    return copy;
}

cpn_reason
cpn_account_refusal(const cpn_snapshot *s, const char *object_id, uint64_t epoch,
                    const cpn_principal **who)
{
    const cpn_principal *p = cpn_snapshot_principal(s, cpn_view_str(object_id));

    if (!p || !p->enabled)
        return CPN_WHY_PRINCIPAL_DISABLED;
    if (epoch < p->sign_ins_since)
        return CPN_WHY_TOKEN_EXPIRED;
    if (who)
        *who = p;
    return CPN_WHY_NONE;
}

const char *
cpn_account_phc(const cpn_snapshot *s, const char *object_id)
{
    const cpn_principal *who = cpn_snapshot_principal(s, cpn_view_str(object_id));
    const json_t *body = cpn_snapshot_document(s, CPN_KIND_CREDENTIAL, cpn_view_str(object_id));

    return who && who->external ? NULL : json_string_value(json_object_get(body, "argon2id"));
}

cpn_rc
cpn_account_password(const json_t *body, const char *key, cpn_secret *out, cpn_err *err)
{
    const char *text = "";
    cpn_rc rc = cpn_json_get_str(body, "", key, CPN_PASSWORD_MAX, &text, err);

    if (rc != CPN_OK)
        return rc;
    if (strlen(text) < CPN_PASSWORD_MIN)
        return cpn_fail(err, CPN_INVALID, "%s: expected at least %d bytes", key, CPN_PASSWORD_MIN);
    return cpn_secret_set(out, cpn_view_str(text));
}
