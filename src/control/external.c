/* Finds or makes the user whom a provider proved, and keeps the groups that it named. */
#include "control/external.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec/digest.h"
#include "control/accounts.h"
#include "control/trail.h"

typedef struct entering {
    cpn_change change;
    cpn_call *call;
    char subject[CPN_SUBJECT_MAX + 1];
    char name[CPN_SHOWN_NAME_MAX + 1];
    json_t *groups; /* sorted, each once */
    char object_id[CPN_UUID_TEXT];
    cpn_external_done *done;
    void *owner;
} entering;

static void
finish(entering *e, cpn_rc rc, const cpn_err *err)
{
    e->done(e->owner, rc, rc == CPN_OK ? e->object_id : "", err);
    json_decref(e->groups);
    free(e);
}

/* ---- groups ---- */

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One order, so that the same groups are no change. */
static json_t *
sorted(const json_t *groups)
{
    const char *text[CPN_EXTERNAL_GROUPS_MAX];
    size_t n = CPN_MIN(json_array_size(groups), CPN_COUNT(text));
    json_t *out = json_array();

    for (size_t i = 0; i < n; i++)
        text[i] = json_string_value(json_array_get(groups, i));
    qsort(text, n, sizeof(text[0]), by_text);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(text[i], text[i - 1]) != 0)
            json_array_append_new(out, json_string(text[i]));
    return out;
}

/* ---- documents ---- */

static const char *
issuer(const entering *e)
{
    return e->call->c->set.oidc_issuer;
}

/* The user's document with the groups of this sign-in. New reference. */
static json_t *
with_groups(const entering *e, const json_t *body)
{
    json_t *copy = json_deep_copy(body), *external = json_object_get(copy, "external");

    if (json_array_size(e->groups) || json_object_get(external, "groups"))
        json_object_set(external, "groups", e->groups);
    return copy;
}

/* Nobody else's, now or before: shown name, else subject, behind a prefix. */
static void
choose_name(const entering *e, const cpn_snapshot *s, char out[CPN_SHOWN_NAME_MAX + 1])
{
    const char *shown = e->name[0] ? e->name : e->subject;
    cpn_view piece[] = { cpn_view_str(issuer(e)), CPN_VIEW_LIT("\n"), cpn_view_str(e->subject) };
    char part[9];
    uint8_t digest[CPN_SHA256_BYTES];
    size_t n = CPN_MIN(strlen(shown), (size_t)(CPN_SHOWN_NAME_MAX - 32));

    while (n > 0 && ((uint8_t)shown[n] & 0xc0) == 0x80)
        n--; /* not through the middle of a character */
    snprintf(out, CPN_SHOWN_NAME_MAX + 1, CPN_EXTERNAL_PREFIX "%.*s", (int)n, shown);
    if (!cpn_snapshot_principal_by_name(s, cpn_view_str(out)))
        return;
    cpn_sha256_pieces(piece, CPN_COUNT(piece), digest);
    if (!cpn_hex_encode((cpn_view){ digest, 4 }, part, sizeof(part)))
        abort();
    snprintf(out, CPN_SHOWN_NAME_MAX + 1, CPN_EXTERNAL_PREFIX "%.*s~%s", (int)n, shown, part);
}

/* The record of this sign-in goes with the change, and says whom and which groups it was about. */
static void
record_in(entering *e, cpn_change *change, const char *name)
{
    CPN_AUTO(cpn_auto_mem) char *groups = cpn_json_text(e->groups);

    cpn_call_note(e->call, "target", name);
    cpn_call_note(e->call, "externalSubject", e->subject);
    cpn_call_note(e->call, "groups", groups);
    cpn_trail_call_in(change->batch, e->call, 200);
}

static cpn_rc
create(entering *e, cpn_change *change, cpn_err *err)
{
    char name[CPN_SHOWN_NAME_MAX + 1], text[CPN_CONFIG_TEXT + CPN_SUBJECT_MAX + 16];
    CPN_AUTO(cpn_json_auto) json_t *body = NULL;
    cpn_rc rc;

    snprintf(text, sizeof(text), "external:%s\n%s", issuer(e), e->subject);
    cpn_account_id(text, e->object_id);
    if (cpn_snapshot_principal(change->base, cpn_view_str(e->object_id)))
        return cpn_fail(err, CPN_EXISTS, "the object id %s is somebody else's", e->object_id);
    choose_name(e, change->base, name);
    body = json_pack("{s:s,s:s,s:s,s:b,s:i,s:{s:s,s:s,s:b,s:O}}", "type", "User", "name", name,
                     "displayName", e->name[0] ? e->name : e->subject, "enabled", 1, "sessionsMax",
                     0, "external", "issuer", issuer(e), "subject", e->subject, "provisioned", 1,
                     "groups", e->groups);
    if (!body)
        return cpn_fail(err, CPN_INVALID, "the provider's name of the person is not UTF-8");
    rc = cpn_change_put(change, CPN_KIND_PRINCIPAL, e->object_id, body, err);
    if (rc == CPN_OK)
        record_in(e, change, name);
    return rc;
}

/* ---- the change ---- */

static cpn_rc
build(void *owner, cpn_change *change, cpn_err *err)
{
    entering *e = owner;
    const cpn_principal *p =
        cpn_snapshot_principal_by_external(change->base, issuer(e), e->subject);
    const json_t *now;
    CPN_AUTO(cpn_json_auto) json_t *next = NULL;
    cpn_rc rc;

    if (!p)
        return create(e, change, err);
    if (p->kind != CPN_PRINCIPAL_USER)
        return cpn_fail(err, CPN_NOT_FOUND, "the subject is that of a service here");
    (void)cpn_view_copy(cpn_view_str(p->object_id), e->object_id, sizeof(e->object_id));
    now = cpn_snapshot_document(change->base, CPN_KIND_PRINCIPAL, cpn_view_str(p->object_id));
    next = with_groups(e, now);
    if (json_equal(now, next)) { /* another sign-in of theirs was quicker */
        change->dry = true;
        return CPN_OK;
    }
    rc = cpn_change_put(change, CPN_KIND_PRINCIPAL, e->object_id, next, err);
    if (rc == CPN_OK)
        record_in(e, change, p->name);
    return rc;
}

static void
built(void *owner, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    entering *e = owner;
    cpn_err why = { 0 };

    if (json_array_size(problems))
        (void)cpn_fail(&why, rc, "%s", json_string_value(json_array_get(problems, 0)));
    finish(e, rc, json_array_size(problems) ? &why : err);
}

/* Nothing to write: true, and object_id is set. */
static bool
as_before(entering *e, const cpn_principal *p)
{
    const cpn_snapshot *s = e->call->c->snapshot;
    const json_t *now = cpn_snapshot_document(s, CPN_KIND_PRINCIPAL, cpn_view_str(p->object_id));
    CPN_AUTO(cpn_json_auto) json_t *next = with_groups(e, now);

    (void)cpn_view_copy(cpn_view_str(p->object_id), e->object_id, sizeof(e->object_id));
    return json_equal(now, next);
}

void
cpn_external_enter(cpn_call *call, const cpn_idtoken *who, cpn_external_done *done, void *owner)
{
    cpn_control *c = call->c;
    entering *e = cpn_xcalloc(1, sizeof(*e));
    const cpn_principal *p =
        cpn_snapshot_principal_by_external(c->snapshot, c->set.oidc_issuer, who->subject);
    cpn_rc rc;

    e->call = call;
    e->done = done;
    e->owner = owner;
    e->groups = sorted(who->groups);
    memcpy(e->subject, who->subject, sizeof(e->subject));
    memcpy(e->name, who->name, sizeof(e->name));
    e->change = (cpn_change){ .build = build, .done = built, .owner = e, .call = call };
    if (p && p->kind != CPN_PRINCIPAL_USER)
        finish(e, CPN_NOT_FOUND, NULL);
    else if (p && (as_before(e, p) || !p->enabled))
        finish(e, CPN_OK, NULL); /* who is disabled is refused where the flow goes on */
    else if (!p && strcmp(c->set.oidc_provision, "create") != 0)
        finish(e, CPN_NOT_FOUND, NULL);
    else if ((rc = cpn_publish_ask(c, &e->change)) != CPN_OK)
        finish(e, rc, NULL);
}
