/* POST /v1/apply: a whole inventory in one batch, or what it would change. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "codec/chars.h"
#include "control/accounts.h"
#include "control/publish.h"
#include "control/reply.h"
#include "control/trail.h"

#define KINDS_MAX 16
#define PROBLEMS_MAX 20
#define RIGHTS_ACTION "Microsoft.Authorization/roleAssignments/write"

typedef struct applying {
    cpn_change change;
    cpn_call *call;
    json_t *created, *changed, *deleted, *problems;
    json_t *sent; /* "kind\nid" of every document of the body, as a set */
    unsigned unchanged;
    unsigned problems_n; /* also those that the list has no room for */
    bool rights;         /* something changes who may what */
} applying;

static void
applying_free(applying *a)
{
    json_decref(a->created);
    json_decref(a->changed);
    json_decref(a->deleted);
    json_decref(a->problems);
    json_decref(a->sent);
    free(a);
}

static void
problem(applying *a, const char *kind, const char *id, const char *what)
{
    char text[CPN_ID_MAX + 700];

    a->problems_n++;
    snprintf(text, sizeof(text), "%s %s: %s", kind, id, what);
    cpn_utf8_mend(text); /* it may have been cut */
    if (json_array_size(a->problems) < PROBLEMS_MAX)
        json_array_append_new(a->problems, json_string(text));
}

static void
note_change(applying *a, json_t *list, const char *kind, const char *id)
{
    json_array_append_new(list, json_pack("{s:s,s:s}", "kind", kind, "id", id));
    a->rights |= strcmp(kind, CPN_KIND_PRINCIPAL) == 0 || strcmp(kind, CPN_KIND_ASSIGNMENT) == 0 ||
                 strcmp(kind, CPN_KIND_ROLE) == 0;
}

static const char *
set_key(const char *kind, const char *id, char out[CPN_ID_MAX + 80])
{
    int n = snprintf(out, CPN_ID_MAX + 80, "%.64s\n%s", kind, id);

    for (int i = 0; i < n && i < CPN_ID_MAX + 79; i++)
        out[i] = (char)(out[i] >= 'A' && out[i] <= 'Z' ? out[i] + 32 : out[i]);
    return out;
}

/* ---- documents that were sent ---- */

static void
document_apply(applying *a, const json_t *document)
{
    static const char *const names[] = { "kind", "id", "body", NULL };
    const char *kind = cpn_json_string(document, "kind"), *id = cpn_json_string(document, "id");
    const json_t *body = json_object_get(document, "body"), *now;
    CPN_AUTO(cpn_json_auto) json_t *kept = NULL;
    char key[CPN_ID_MAX + 80];
    cpn_err err = { 0 };

    if (cpn_json_only(document, "", names, &err) != CPN_OK || !kind[0] || !id[0] ||
        !json_is_object(body) || strlen(id) > CPN_ID_MAX) {
        problem(a, kind, id, err.msg[0] ? err.msg : "expected kind, id and body");
        return;
    }
    if (strcmp(kind, CPN_KIND_CREDENTIAL) == 0) {
        problem(a, kind, id, "credentials are set by their own calls");
        return;
    }
    set_key(kind, id, key);
    if (json_object_get(a->sent, key)) {
        problem(a, kind, id, "it is there twice");
        return;
    }
    json_object_set_new(a->sent, key, json_true());
    now = cpn_snapshot_document(a->change.base, kind, cpn_view_str(id));
    kept = cpn_account_external_kept(now, body);
    if (now && json_equal(now, kept)) {
        a->unchanged++;
        return;
    }
    if (cpn_change_put(&a->change, kind, id, kept, &err) != CPN_OK)
        problem(a, kind, id, err.msg);
    else
        note_change(a, now ? a->changed : a->created, kind, id);
}

/* ---- kinds that were sent whole ---- */

typedef struct sweep {
    applying *a;
    const char *kind;
    json_t *gone;
} sweep;

/* The caller's own account, and their rights over everything, stay: nobody locks themselves out.
 * Users whom a sign-in at the provider made were never in a file, so their absence says nothing. */
static bool
stays(const sweep *s, const char *id, const json_t *body)
{
    const char *self = s->a->call->claims.object_id;

    if (strcmp(s->kind, CPN_KIND_PRINCIPAL) == 0)
        return strcasecmp(id, self) == 0 || cpn_account_provisioned(body);
    return strcmp(s->kind, CPN_KIND_ASSIGNMENT) == 0 &&
           strncasecmp(id, "/providers/", strlen("/providers/")) == 0 &&
           strcasecmp(cpn_json_string(body, "principalId"), self) == 0;
}

static bool
sweep_one(void *owner, const char *id, const json_t *body)
{
    sweep *s = owner;
    char key[CPN_ID_MAX + 80];

    if (!json_object_get(s->a->sent, set_key(s->kind, id, key)) && !stays(s, id, body))
        json_array_append_new(s->gone, json_string(id));
    return true;
}

static void
kind_sweep(applying *a, const char *kind)
{
    sweep s = { .a = a, .kind = kind, .gone = json_array() };
    json_t *id;
    size_t i;

    cpn_snapshot_each(a->change.base, kind, NULL, sweep_one, &s);
    json_array_foreach(s.gone, i, id)
    {
        const char *text = json_string_value(id);
        cpn_rc rc = strcmp(kind, CPN_KIND_PRINCIPAL) == 0
                        ? cpn_account_delete(&a->change, text)
                        : cpn_change_delete(&a->change, kind, text);

        /* Not found: it went with its principal. */
        if (rc == CPN_OK)
            note_change(a, a->deleted, kind, text);
    }
    json_decref(s.gone);
}

/* ---- the change ---- */

static cpn_rc
apply_build(void *owner, cpn_change *change, cpn_err *err)
{
    applying *a = owner;
    cpn_call *call = a->call;
    json_t *documents = json_object_get(call->json, "documents"), *item;
    size_t i;

    json_array_foreach(documents, i, item) document_apply(a, item);
    /* Assignments before principals: what a principal takes with it is then gone already. */
    json_array_foreach(json_object_get(call->json, "whole"), i, item)
    {
        if (strcmp(json_string_value(item), CPN_KIND_PRINCIPAL) != 0)
            kind_sweep(a, json_string_value(item));
    }
    json_array_foreach(json_object_get(call->json, "whole"), i, item)
    {
        if (strcmp(json_string_value(item), CPN_KIND_PRINCIPAL) == 0)
            kind_sweep(a, CPN_KIND_PRINCIPAL);
    }
    if (a->problems_n)
        return cpn_fail(err, CPN_INVALID, "the inventory does not hold together");
    if (a->rights && !cpn_may(change->base, cpn_call_who(call), RIGHTS_ACTION, CPN_VIEW_LIT("/")))
        return cpn_fail(err, CPN_DENIED, "changing users, roles or assignments needs Owner on /");
    /* Nothing to change: no epoch; the call's record says only that it came. */
    if (!json_array_size(a->created) && !json_array_size(a->changed) &&
        !json_array_size(a->deleted))
        change->dry = true;
    if (change->dry)
        return CPN_OK;
    cpn_trail_call_in(change->batch, call, 200);
    return CPN_OK;
}

static void
apply_done(void *owner, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    applying *a = owner;
    cpn_call *call = a->call;
    json_t *said = a->problems_n ? a->problems : (json_t *)problems;

    if (rc == CPN_OK) {
        call->only_read = a->change.dry;
        cpn_reply_json(call, 200,
                       json_pack("{s:O,s:O,s:O,s:i,s:I}", "created", a->created, "changed",
                                 a->changed, "deleted", a->deleted, "unchanged", (int)a->unchanged,
                                 "epoch", (json_int_t)cpn_snapshot_epoch(call->c->snapshot)));
    } else if (rc == CPN_INVALID) {
        cpn_reply_error(call, 400, "invalid", "the inventory does not hold together",
                        said ? json_pack("{s:O}", "problems", said) : NULL);
    } else {
        cpn_reply_rc(call, rc, err ? err->msg : NULL, err);
    }
    applying_free(a);
}

/* "whole": known names only. */
static bool
whole_ok(const json_t *whole)
{
    static const char *const kinds[] = {
        CPN_KIND_SUBSCRIPTION, CPN_KIND_GROUP,     CPN_KIND_NETWORK, CPN_KIND_MACHINE,
        CPN_KIND_NIC,          CPN_KIND_SCALE_SET, CPN_KIND_BASTION, CPN_KIND_PRINCIPAL,
        CPN_KIND_ASSIGNMENT,   CPN_KIND_ROLE,
    };
    const json_t *kind;
    size_t i;

    json_array_foreach((json_t *)whole, i, kind)
    {
        bool known = false;

        for (size_t k = 0; k < CPN_COUNT(kinds); k++)
            known |= json_is_string(kind) && strcmp(json_string_value(kind), kinds[k]) == 0;
        if (!known)
            return false;
    }
    return true;
}

static void
apply(cpn_call *call)
{
    static const char *const names[] = { "documents", "whole", NULL };
    json_t *documents = NULL, *whole = NULL;
    char dry[8];
    cpn_err err = { 0 };
    applying *a;
    cpn_rc rc;

    if (cpn_json_only(call->json, "", names, &err) != CPN_OK ||
        cpn_json_opt_array(call->json, "", "documents", call->c->set.resources_max, &documents,
                           &err) != CPN_OK ||
        cpn_json_opt_array(call->json, "", "whole", KINDS_MAX, &whole, &err) != CPN_OK ||
        !whole_ok(whole)) {
        cpn_reply_rc(call, CPN_INVALID,
                     err.msg[0] ? err.msg : "whole: expected names of kinds of documents", NULL);
        return;
    }
    a = cpn_xcalloc(1, sizeof(*a));
    a->call = call;
    a->created = json_array();
    a->changed = json_array();
    a->deleted = json_array();
    a->problems = json_array();
    a->sent = json_object();
    a->change = (cpn_change){ .build = apply_build, .done = apply_done, .owner = a, .call = call };
    a->change.dry = cpn_call_query(call, "dryRun", dry, sizeof(dry)) && strcmp(dry, "true") == 0;
    if (a->change.dry)
        cpn_call_note(call, "dryRun", "true");
    if ((rc = cpn_publish_ask(call->c, &a->change)) != CPN_OK) {
        applying_free(a);
        cpn_reply_rc(call, rc, NULL, NULL);
    }
}

const cpn_route cpn_routes_apply[] = {
    { "POST", "/v1/apply", CPN_SCOPE_ROOT, "Microsoft.Resources/deployments/write", CPN_BODY_JSON,
      CPN_BODY_APPLY, "policy.apply", CPN_ERRORS_API, apply },
    { 0 },
};
