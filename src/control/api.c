/* The dispatcher: finds the row, asks whether the caller may, reads the body, calls the handler. */
#include "control/api.h"

#include <stdio.h>
#include <string.h>

#include "control/arm.h"
#include "control/assign.h"
#include "control/named.h"
#include "control/reply.h"

#define ROOT_SCOPE "/"
#define JSON_DEPTH 12

/* ---- the table ---- */

static bool
has_action(cpn_scope_from from)
{
    return from >= CPN_SCOPE_ROOT || from == CPN_SCOPE_EACH;
}

static cpn_rc
row_check(const cpn_route *r, cpn_err *err)
{
    const char *what = NULL;

    if (r->from == CPN_SCOPE_REFUSED)
        what = "has no permission";
    else if (has_action(r->from) && !r->action)
        what = "has a scope but no action";
    else if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0 && !r->audit)
        what = "changes state and leaves no audit record";
    else if ((r->body == CPN_BODY_NONE) != (r->body_max == 0))
        what = "has a body without a limit";
    else if (!r->handle)
        what = "has no handler";
    return what ? cpn_fail(err, CPN_E_CONF, "route %s %s %s", r->method, r->path, what) : CPN_OK;
}

cpn_rc
cpn_api_check(cpn_err *err)
{
    for (const cpn_route *const *table = cpn_route_tables; *table; table++) {
        for (const cpn_route *r = *table; r->path; r++) {
            cpn_rc rc = row_check(r, err);

            if (rc < 0)
                return rc;
        }
    }
    return CPN_OK;
}

bool
cpn_route_azure(const cpn_route *r)
{
    return r->errors == CPN_ERRORS_AZ || r->errors == CPN_ERRORS_ARM ||
           r->errors == CPN_ERRORS_GRAPH;
}

cpn_rc
cpn_api_match(cpn_view method, cpn_view path, const cpn_route **out, cpn_params *params,
              char allow[64])
{
    const cpn_route *best = NULL;
    cpn_params p;
    size_t n = 0;

    for (const cpn_route *const *table = cpn_route_tables; *table; table++) {
        for (const cpn_route *r = *table; r->path; r++) {
            if (!cpn_pattern_fits(r->path, path, r->errors == CPN_ERRORS_ARM, &p))
                continue;
            if (cpn_view_is(method, r->method)) {
                if (best && !cpn_pattern_before(r->path, best->path))
                    continue;
                best = r;
                *params = p;
            } else if (!strstr(allow, r->method)) {
                n += (size_t)snprintf(allow + n, 64 - n, "%s%s", n ? ", " : "", r->method);
                n = CPN_MIN(n, 63);
            }
        }
    }
    *out = best;
    return best ? CPN_OK : n ? CPN_DENIED : CPN_NOT_FOUND;
}

size_t
cpn_route_body_max(const cpn_control *c, const cpn_route *r)
{
    return r->body_max == CPN_BODY_APPLY   ? c->set.apply_body_max
           : r->body_max == CPN_BODY_USUAL ? c->set.body_max
                                           : r->body_max;
}

/* ---- may ---- */

static const char *
mending_role(const char *action)
{
    size_t n = strlen(action);

    if (n > 5 && strcmp(action + n - 5, "/read") == 0)
        return "Reader";
    return strncmp(action, "Microsoft.Authorization/", 24) == 0 ? "Owner" : "Contributor";
}

/* As Azure Resource Manager has it, and which role would mend it. */
static void
azure_sentence(char *out, size_t size, const cpn_call *call, cpn_view scope)
{
    const cpn_principal *who = cpn_call_who(call);

    snprintf(out, size,
             "The client '%s' with object id '%s' does not have authorization to perform action "
             "'%s' over scope '%.*s' or the scope is invalid. This needs %s.",
             who ? who->name : "", who ? who->object_id : "", call->route->action,
             CPN_VIEW_ARG(scope), mending_role(call->route->action));
}

static void
refuse(cpn_call *call, cpn_view scope)
{
    const char *action = call->route->action;
    char sentence[CPN_ID_MAX + 1024];
    json_t *more;

    if (call->route->errors == CPN_ERRORS_ARM)
        azure_sentence(sentence, sizeof(sentence), call, scope);
    else
        snprintf(sentence, sizeof(sentence), "this needs %s on %.*s", mending_role(action),
                 CPN_VIEW_ARG(scope));
    more = json_pack("{s:[{s:s,s:s,s:s%}]}", "missing", "reason",
                     cpn_reason_word(CPN_WHY_ROLE_MISSING), "role", mending_role(action), "scope",
                     (const char *)scope.p, scope.n);
    cpn_reply_error(call, 403, "denied", sentence, more);
}

/* Is the named user the caller? An absent name is. Found as handlers find it: a name of the
 * caller's may be a better name of somebody else's. */
static bool
names_caller(const cpn_call *call, const char *key)
{
    const cpn_principal *who = cpn_call_who(call), *named = NULL;
    const json_t *name = json_object_get(call->json, key);

    if (!name)
        return true;
    return who && json_is_string(name) &&
           cpn_named_principal(call->c->snapshot, json_string_value(name), &named) == CPN_OK &&
           named == who;
}

/* Does the row let the caller in? False: *lacking is where its action may not be done; NULL: nobody
 * gets in there. id is room for it. */
static bool
permits(const cpn_call *call, char id[CPN_ID_MAX + 1], cpn_view *lacking)
{
    *lacking = CPN_VIEW_LIT(ROOT_SCOPE);
    switch (call->route->from) {
    case CPN_SCOPE_ANYONE:
    case CPN_SCOPE_OPERATOR:
    case CPN_SCOPE_SIGNED_IN:
    case CPN_SCOPE_EACH:
        return true;
    case CPN_SCOPE_ROOT:
        break;
    case CPN_SCOPE_PATH:
        *lacking = cpn_view_str(call->params.scope);
        break;
    case CPN_SCOPE_BODY:
        *lacking = cpn_view_str(cpn_json_string(call->json, "scope"));
        break;
    case CPN_SCOPE_ASSIGNMENT:
        (void)cpn_call_query(call, "id", id, CPN_ID_MAX + 1);
        *lacking = cpn_assignment_scope(id);
        break;
    case CPN_SCOPE_SELF_NAME:
        if (names_caller(call, "name"))
            return true;
        break;
    case CPN_SCOPE_SELF_USER:
        if (names_caller(call, "user"))
            return true;
        break;
    case CPN_SCOPE_REFUSED:
        *lacking = (cpn_view){ NULL, 0 };
        return false;
    }
    return cpn_may(call->c->snapshot, cpn_call_who(call), call->route->action, *lacking);
}

/* Somebody whom the row wants to be there is there. */
static bool
is_somebody(const cpn_call *call)
{
    return call->route->from <= CPN_SCOPE_OPERATOR || cpn_call_who(call);
}

/* False: answered. */
static bool
may(cpn_call *call)
{
    char id[CPN_ID_MAX + 1];
    cpn_view lacking;

    if (!is_somebody(call)) {
        cpn_reply_reason(call, CPN_WHY_PRINCIPAL_DISABLED);
        return false;
    }
    if (permits(call, id, &lacking))
        return true;
    if (lacking.p)
        refuse(call, lacking);
    else
        cpn_reply_rc(call, CPN_DENIED, NULL, NULL);
    return false;
}

bool
cpn_api_may_early(cpn_call *call)
{
    cpn_scope_from from = call->route->from;

    return (from != CPN_SCOPE_PATH && from != CPN_SCOPE_ROOT) || may(call);
}

bool
cpn_api_still_may(const cpn_call *call)
{
    char id[CPN_ID_MAX + 1];
    cpn_view lacking;

    return is_somebody(call) && permits(call, id, &lacking);
}

/* ---- body ---- */

static bool
body_read(cpn_call *call)
{
    cpn_err err = { 0 };
    cpn_rc rc = CPN_OK;

    if (call->body.n != call->length) {
        cpn_reply_rc(call, CPN_INVALID, "the body is shorter than announced", NULL);
        return false;
    }
    if (call->route->body == CPN_BODY_JSON && call->length == 0) {
        call->json = json_object();
    } else if (call->route->body == CPN_BODY_JSON) {
        rc =
            cpn_json_load(&call->json, cpn_buf_view(&call->body), call->body.max, JSON_DEPTH, &err);
        if (rc == CPN_OK && !json_is_object(call->json))
            rc = cpn_fail(&err, CPN_INVALID, "expected a JSON object");
    } else if (call->route->body == CPN_BODY_FORM) {
        rc = cpn_form_parse(call->body.p, call->body.n, &call->form, &err);
    }
    if (rc != CPN_OK)
        cpn_reply_rc(call, CPN_INVALID, err.msg, NULL);
    return rc == CPN_OK;
}

void
cpn_api_dispatch(cpn_call *call)
{
    if (body_read(call) && may(call) && cpn_arm_version_ok(call))
        call->route->handle(call);
}
