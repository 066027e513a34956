/* POST /v1/enrol: the one-time code makes the first administrator. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/accounts.h"
#include "control/penalties.h"
#include "control/publish.h"
#include "control/reply.h"
#include "control/trail.h"

typedef struct enrolment {
    cpn_change change;
    cpn_call *call;
    char *phc;
    char object_id[CPN_UUID_TEXT];
    char name[321];
} enrolment;

static void
enrolment_free(enrolment *e)
{
    free(e->phc);
    free(e);
}

static cpn_rc
enrol_build(void *owner, cpn_change *change, cpn_err *err)
{
    enrolment *e = owner;
    CPN_AUTO(cpn_json_auto) json_t *assignment = NULL;
    char id[CPN_ID_MAX + 1];
    cpn_rc rc;

    if (cpn_accounts_owned(change->base))
        return cpn_fail(err, CPN_EXISTS, "somebody is enrolled already");
    if ((rc = cpn_account_put(change, e->object_id, e->name, cpn_json_string(e->call->json, "name"),
                              err)) != CPN_OK ||
        (rc = cpn_account_credential(change, e->object_id, e->phc, err)) != CPN_OK)
        return rc;
    assignment =
        json_pack("{s:s,s:s,s:s}", "principalId", e->object_id, "role", "Owner", "effect", "Allow");
    cpn_account_assignment_id("/", id);
    if ((rc = cpn_change_put(change, CPN_KIND_ASSIGNMENT, id, assignment, err)) != CPN_OK)
        return rc;
    cpn_call_note(e->call, "objectId", e->object_id);
    cpn_call_note(e->call, "userEmail", e->name);
    cpn_trail_call_in(change->batch, e->call, 201);
    return CPN_OK;
}

static void
enrol_done(void *owner, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    enrolment *e = owner;
    cpn_call *call = e->call;
    json_t *body = json_pack("{s:s,s:s}", "objectId", e->object_id, "name", e->name);

    (void)problems;
    enrolment_free(e);
    if (rc == CPN_OK) {
        cpn_enrolment_end(call->c->identity);
        cpn_log(CPN_LOG_INFO, "gateway.enrolled");
        cpn_reply_json(call, 201, body);
        return;
    }
    json_decref(body);
    cpn_reply_rc(call, rc, err ? err->msg : NULL, err);
}

static void
enrol_hashed(void *owner, cpn_rc rc, const char *phc)
{
    enrolment *e = owner;

    if (rc == CPN_OK) {
        e->phc = cpn_xstrdup(phc);
        rc = cpn_publish_ask(e->call->c, &e->change);
        if (rc == CPN_OK)
            return;
    }
    cpn_reply_rc(e->call, rc, NULL, NULL);
    enrolment_free(e);
}

static void
enrol(cpn_call *call)
{
    static const char *const names[] = { "code", "name", "password", NULL };
    cpn_control *c = call->c;
    CPN_AUTO(cpn_secret_wipe) cpn_secret password = { 0 };
    const char *code = "", *name = "";
    cpn_err err = { 0 };
    enrolment *e;
    unsigned wait = cpn_penalty_wait(c->penalties, &call->peer, NULL);
    cpn_rc rc;

    if (wait) {
        cpn_reply_wait(call, wait);
        return;
    }
    if (cpn_accounts_owned(c->snapshot)) {
        cpn_reply_rc(call, CPN_EXISTS, "somebody is enrolled already", NULL);
        return;
    }
    if (cpn_json_only(call->json, "", names, &err) != CPN_OK ||
        cpn_json_get_str(call->json, "", "code", 64, &code, &err) != CPN_OK ||
        cpn_json_get_str(call->json, "", "name", 320, &name, &err) != CPN_OK ||
        cpn_account_password(call->json, "password", &password, &err) != CPN_OK) {
        cpn_reply_rc(call, CPN_INVALID, err.msg, NULL);
        return;
    }
    if (!cpn_enrolment_check(c->identity, cpn_view_str(code))) {
        cpn_penalty_wrong(c, &call->peer, NULL);
        cpn_reply_error(call, 403, "wrong_code", "this is not the enrolment code", NULL);
        return;
    }
    e = cpn_xcalloc(1, sizeof(*e));
    e->call = call;
    e->change = (cpn_change){ .build = enrol_build, .done = enrol_done, .owner = e, .call = call };
    snprintf(e->name, sizeof(e->name), "%s", name);
    cpn_account_id(name, e->object_id);
    if ((rc = cpn_credential_hash(c->identity, &password, enrol_hashed, e)) != CPN_OK) {
        enrolment_free(e);
        cpn_reply_rc(call, rc, NULL, NULL);
    }
}

const cpn_route cpn_routes_enrol[] = {
    { "POST", "/v1/enrol", CPN_SCOPE_ANYONE, NULL, CPN_BODY_JSON, CPN_BODY_USUAL, "gateway.enrol",
      CPN_ERRORS_API, enrol },
    { 0 },
};
