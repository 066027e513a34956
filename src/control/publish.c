/* Serialises changes of policy: build on the newest snapshot, commit, publish, decide again. */
#include "control/publish.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/api.h"
#include "control/call.h"
#include "control/cut.h"

struct cpn_publish {
    cpn_control *c;
    cpn_change *waiting; /* the first is being built or committed */
    unsigned waiting_n;
    bool busy;
    cpn_snapshot *next; /* sealed, not yet durable */
    char seen[24];      /* the epoch that the store must still have */
};

cpn_publish *
cpn_publish_new(cpn_control *c)
{
    cpn_publish *p = cpn_xcalloc(1, sizeof(*p));

    p->c = c;
    return p;
}

void
cpn_publish_free(cpn_publish *p)
{
    if (!p)
        return;
    cpn_snapshot_unref(p->next);
    free(p);
}

/* Ids of documents are stored in lower case. */
static void
lower(const char *id, char out[CPN_ID_MAX + 1])
{
    size_t n = strnlen(id, CPN_ID_MAX);

    for (size_t i = 0; i < n; i++)
        out[i] = (char)(id[i] >= 'A' && id[i] <= 'Z' ? id[i] + 32 : id[i]);
    out[n] = '\0';
}

/* What is stored: the id as written, for showing, beside the body. */
static char *
stored_text(const char *id, const json_t *body)
{
    json_t *whole = json_pack("{s:s,s:O}", "id", id, "body", body);
    char *text = cpn_json_text(whole);

    json_decref(whole);
    return text;
}

static bool
same(const json_t *a, const json_t *b, const char *name)
{
    return strcmp(cpn_json_string(a, name), cpn_json_string(b, name)) == 0;
}

/* Is it from now on another who signs in by that id, or nobody? An id comes from a name, so it was
 * maybe somebody's before. */
static bool
signs_out(const cpn_change *change, const char *id, const json_t *body)
{
    const json_t *was = cpn_snapshot_document(change->base, CPN_KIND_PRINCIPAL, cpn_view_str(id));
    const json_t *there = json_object_get(was, "external"),
                 *now = json_object_get(body, "external");

    if (strcmp(cpn_json_string(body, "type"), "Group") == 0)
        return false;
    return !was || json_is_false(json_object_get(body, "enabled")) || !same(was, body, "type") ||
           !same(there, now, "issuer") || !same(there, now, "subject");
}

static cpn_rc
put(cpn_change *change, const char *kind, const char *id, const json_t *body, cpn_err *err)
{
    cpn_rc rc = cpn_snapshot_put(change->edit, kind, id, body, err);
    CPN_AUTO(cpn_auto_mem) char *text = NULL;
    char key[CPN_ID_MAX + 1];

    if (rc != CPN_OK)
        return rc;
    text = stored_text(id, body);
    lower(id, key);
    cpn_batch_put(change->batch, kind, key, cpn_view_str(text));
    explicit_bzero(text, strlen(text)); /* a credential's hash may be in it */
    return CPN_OK;
}

/* Sign-ins count by policy epoch, which only grows: a clock that was wrong ends none too many and
 * spares none. body NULL: nothing proves them here. */
static cpn_rc
credential_put(cpn_change *change, const char *id, const json_t *body, cpn_err *err)
{
    CPN_AUTO(cpn_json_auto)
    json_t *stamped = body ? json_copy((json_t *)body) : json_object();

    json_object_set_new(stamped, "signInsSince",
                        json_integer((json_int_t)cpn_snapshot_epoch(change->base) + 1));
    return put(change, CPN_KIND_CREDENTIAL, id, stamped, err);
}

cpn_rc
cpn_change_put(cpn_change *change, const char *kind, const char *id, const json_t *body,
               cpn_err *err)
{
    cpn_rc rc;

    if (strcmp(kind, CPN_KIND_CREDENTIAL) == 0)
        return credential_put(change, id, body, err);
    rc = put(change, kind, id, body, err);
    if (rc == CPN_OK && strcmp(kind, CPN_KIND_PRINCIPAL) == 0 && signs_out(change, id, body))
        rc = credential_put(
            change, id, cpn_snapshot_document(change->base, CPN_KIND_CREDENTIAL, cpn_view_str(id)),
            err);
    return rc;
}

cpn_rc
cpn_change_delete(cpn_change *change, const char *kind, const char *id)
{
    cpn_rc rc = cpn_snapshot_delete(change->edit, kind, id);
    char key[CPN_ID_MAX + 1];

    if (rc != CPN_OK)
        return rc;
    lower(id, key);
    cpn_batch_delete(change->batch, kind, key);
    return CPN_OK;
}

/* ---- one change ---- */

static void publish_next(cpn_publish *p);

static void
change_done(cpn_publish *p, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    cpn_change *change = p->waiting;

    DL_DELETE(p->waiting, change);
    p->waiting_n--;
    p->busy = false;
    if (rc != CPN_OK)
        change->call->audited = false; /* its record went down with the change */
    change->done(change->owner, rc, problems, err);
    publish_next(p);
}

static void
change_committed(void *owner, cpn_rc rc, const cpn_err *err)
{
    cpn_publish *p = owner;
    cpn_control *c = p->c;
    cpn_snapshot *next = cpn_steal(&p->next);
    cpn_snapshot *old = c->snapshot;

    if (rc != CPN_OK) {
        c->count.commits_failed++;
        cpn_snapshot_unref(next);
        change_done(p, rc, NULL, err);
        return;
    }
    c->count.commits++;
    c->snapshot = next;
    cpn_identity_forget_all(c->identity);
    cpn_log(CPN_LOG_INFO, "policy.published", CPN_KI("epoch", cpn_snapshot_epoch(next)));
    cpn_cut_recheck(c, p->waiting->call->began_ms);
    cpn_snapshot_unref(old);
    change_done(p, CPN_OK, NULL, NULL);
}

/* Seals and commits; the batch is taken. */
static void
change_commit(cpn_publish *p, cpn_change *change, CPN_TAKES cpn_batch *batch)
{
    uint64_t epoch = cpn_snapshot_epoch(p->c->snapshot) + 1;
    char text[24];
    cpn_err err = { 0 };
    cpn_rc rc;

    snprintf(p->seen, sizeof(p->seen), "%" PRIu64, epoch - 1);
    snprintf(text, sizeof(text), "%" PRIu64, epoch);
    cpn_batch_expect_value(batch, CPN_VALUE_EPOCH, epoch > 1 ? p->seen : NULL);
    cpn_batch_value(batch, CPN_VALUE_EPOCH, cpn_view_str(text));
    rc = cpn_store_commit(p->c->store, batch, change_committed, p);
    if (rc == CPN_OK)
        return;
    cpn_snapshot_unref(cpn_steal(&p->next));
    (void)cpn_fail(&err, rc, "the store takes no more work now");
    change_done(p, rc, NULL, &err);
    (void)change;
}

static void
change_run(cpn_publish *p, cpn_change *change)
{
    cpn_err err = { 0 };
    json_t *problems = NULL;
    cpn_batch *batch;
    cpn_rc rc;

    p->busy = true;
    change->base = p->c->snapshot;
    change->edit = cpn_snapshot_edit_new(p->c->snapshot);
    change->batch = cpn_batch_new();
    if (cpn_api_still_may(change->call))
        rc = change->build(change->owner, change, &err);
    else
        rc = cpn_fail(&err, CPN_DENIED, "the role that this needs was taken away meanwhile");
    if (rc == CPN_OK)
        rc = cpn_snapshot_seal(&p->next, change->edit, cpn_snapshot_epoch(p->c->snapshot) + 1,
                               &problems, &err);
    if (rc == CPN_OK)
        change->edit = NULL; /* consumed */
    cpn_snapshot_edit_free(cpn_steal(&change->edit));
    batch = cpn_steal(&change->batch);
    if (rc == CPN_OK && !change->dry) {
        change_commit(p, change, batch);
    } else {
        cpn_batch_free(batch);
        cpn_snapshot_unref(cpn_steal(&p->next));
        change_done(p, rc, problems, &err);
    }
    json_decref(problems);
}

static void
publish_next(cpn_publish *p)
{
    if (!p->busy && p->waiting)
        change_run(p, p->waiting);
}

cpn_rc
cpn_publish_ask(cpn_control *c, cpn_change *change)
{
    cpn_publish *p = c->publish;

    if (p->waiting_n >= CPN_PUBLISH_WAITING_MAX)
        return CPN_LIMIT;
    DL_APPEND(p->waiting, change);
    p->waiting_n++;
    publish_next(p);
    return CPN_OK;
}

/* ---- start ---- */

typedef struct loading {
    cpn_snapshot_edit *edit;
    cpn_rc rc;
    cpn_err *err;
} loading;

static void
load_row(void *owner, const char *kind, const char *id, cpn_view text)
{
    loading *l = owner;
    CPN_AUTO(cpn_json_auto) json_t *whole = NULL;
    const json_t *body;
    const char *shown;

    if (l->rc != CPN_OK)
        return;
    l->rc = cpn_json_load(&whole, text, CPN_BODY_STORED_MAX, CPN_JSON_DEPTH_MAX, l->err);
    body = json_object_get(whole, "body");
    shown = json_string_value(json_object_get(whole, "id"));
    if (l->rc == CPN_OK && (!body || !shown))
        l->rc = cpn_fail(l->err, CPN_INVALID, "it has no id or no body");
    if (l->rc == CPN_OK)
        l->rc = cpn_snapshot_put(l->edit, kind, shown, body, l->err);
    if (l->rc != CPN_OK)
        (void)cpn_ctx(l->err, l->rc, "the stored %s %s", kind, id);
}

static cpn_rc
load_epoch(cpn_store *store, uint64_t *epoch, cpn_err *err)
{
    cpn_buf text = { .max = 64 };
    cpn_rc rc = cpn_store_value(store, CPN_VALUE_EPOCH, &text, err);

    *epoch = 0;
    if (rc == CPN_OK && !cpn_view_u64(cpn_buf_view(&text), UINT64_MAX / 2, epoch))
        rc = cpn_fail(err, CPN_E_STORE, "the stored policy epoch is not a number");
    cpn_buf_fini(&text);
    return rc == CPN_NOT_FOUND ? CPN_OK : rc;
}

cpn_rc
cpn_publish_load(cpn_snapshot **out, cpn_store *store, const cpn_config *set, cpn_err *err)
{
    loading l = { .edit = cpn_snapshot_edit_new(NULL), .err = err };
    json_t *problems = NULL;
    uint64_t epoch;
    cpn_rc rc = load_epoch(store, &epoch, err);

    cpn_snapshot_edit_bounds(l.edit, (unsigned)set->resources_max, set->fence_allow_loopback);
    if (rc == CPN_OK)
        rc = cpn_store_load(store, load_row, &l, err);
    if (rc == CPN_OK)
        rc = l.rc;
    if (rc == CPN_OK)
        rc = cpn_snapshot_seal(out, l.edit, epoch, &problems, err);
    if (rc == CPN_OK)
        return CPN_OK;
    cpn_snapshot_edit_free(l.edit);
    if (json_array_size(problems))
        (void)cpn_fail(err, rc, "the stored policy does not hold together: %s",
                       json_string_value(json_array_get(problems, 0)));
    json_decref(problems);
    return rc < 0 ? rc : cpn_fail(err, CPN_E_CONF, "%s", err->msg[0] ? err->msg : "stored policy");
}
