/* The dispatcher: finds the row, asks whether the caller may, reads the body, calls the handler. */
#include "control/api.h"

#include <stdio.h>

#include "control/call.h"
#include "control/reply.h"

#define ROOT_SCOPE "/"
#define JSON_DEPTH 12
#define ASSIGNMENT_INFIX "/providers/microsoft.authorization/roleassignments/"

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
    else if (strcmp(r->method, "GET") != 0 && !r->audit)
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

/* Does the pattern fit? "{name}" takes one whole segment, decoded into param. */
static bool
path_fits(const char *pattern, cpn_view path, char *param, size_t size)
{
    const char *brace = strchr(pattern, '{');
    size_t head = brace ? (size_t)(brace - pattern) : strlen(pattern);
    cpn_view segment;

    if (!brace)
        return cpn_view_is(path, pattern);
    if (path.n <= head || memcmp(path.p, pattern, head) != 0)
        return false;
    segment = cpn_view_skip(path, head);
    /* A parameter in the middle is followed by literal text. */
    const char *tail = strchr(brace, '}') + 1;
    size_t tail_n = strlen(tail);

    if (segment.n <= tail_n || memcmp(segment.p + segment.n - tail_n, tail, tail_n) != 0)
        return false;
    segment.n -= tail_n;
    if (memchr(segment.p, '/', segment.n))
        return false;
    return cpn_percent_decode(segment, param, size) == CPN_OK;
}

cpn_rc
cpn_api_match(cpn_view method, cpn_view path, const cpn_route **out, char *param, size_t param_size,
              char allow[64])
{
    size_t n = 0;

    for (const cpn_route *const *table = cpn_route_tables; *table; table++) {
        for (const cpn_route *r = *table; r->path; r++) {
            if (!path_fits(r->path, path, param, param_size))
                continue;
            if (cpn_view_is(method, r->method)) {
                *out = r;
                return CPN_OK;
            }
            n += (size_t)snprintf(allow + n, 64 - CPN_MIN(n, 64), "%s%s", n ? ", " : "", r->method);
            n = CPN_MIN(n, 63);
        }
    }
    return n ? CPN_DENIED : CPN_NOT_FOUND;
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

static bool
ask(cpn_call *call, cpn_view scope)
{
    const char *action = call->route->action;
    char sentence[CPN_ID_MAX + 256];
    json_t *more;

    if (cpn_may(call->c->snapshot, cpn_call_who(call), action, scope))
        return true;
    snprintf(sentence, sizeof(sentence), "this needs %s on %.*s", mending_role(action),
             CPN_VIEW_ARG(scope));
    more = json_pack("{s:[{s:s,s:s,s:s%}]}", "missing", "reason",
                     cpn_reason_word(CPN_WHY_ROLE_MISSING), "role", mending_role(action), "scope",
                     (const char *)scope.p, scope.n);
    cpn_reply_error(call, 403, "denied", sentence, more);
    return false;
}

/* The scope of a role assignment: its id up to the provider; "/" for one that holds everywhere. */
static cpn_view
assignment_scope(const char *id)
{
    const char *at = strcasestr(id, ASSIGNMENT_INFIX);

    if (!at || at == id)
        return CPN_VIEW_LIT(ROOT_SCOPE);
    return (cpn_view){ (const uint8_t *)id, (size_t)(at - id) };
}

/* Is the named user the caller? An absent name is. */
static bool
names_caller(const cpn_call *call, const char *key)
{
    const cpn_principal *who = cpn_call_who(call);
    const char *name = json_string_value(json_object_get(call->json, key));

    if (!json_object_get(call->json, key))
        return true;
    return name && who &&
           (strcasecmp(name, who->name) == 0 || strcasecmp(name, who->object_id) == 0);
}

bool
cpn_api_may_early(cpn_call *call)
{
    return call->route->from != CPN_SCOPE_ROOT || ask(call, CPN_VIEW_LIT(ROOT_SCOPE));
}

/* False: answered. */
static bool
may(cpn_call *call)
{
    char id[CPN_ID_MAX + 1];

    if (call->route->from > CPN_SCOPE_OPERATOR && !cpn_call_who(call)) {
        cpn_reply_reason(call, CPN_WHY_PRINCIPAL_DISABLED);
        return false;
    }
    switch (call->route->from) {
    case CPN_SCOPE_ANYONE:
    case CPN_SCOPE_OPERATOR:
    case CPN_SCOPE_SIGNED_IN:
    case CPN_SCOPE_EACH:
        return true;
    case CPN_SCOPE_ROOT:
        return ask(call, CPN_VIEW_LIT(ROOT_SCOPE));
    case CPN_SCOPE_BODY:
        return ask(call, cpn_view_str(cpn_json_string(call->json, "scope")));
    case CPN_SCOPE_ASSIGNMENT:
        (void)cpn_call_query(call, "id", id, sizeof(id));
        return ask(call, assignment_scope(id));
    case CPN_SCOPE_SELF_NAME:
        return names_caller(call, "name") || ask(call, CPN_VIEW_LIT(ROOT_SCOPE));
    case CPN_SCOPE_SELF_USER:
        return names_caller(call, "user") || ask(call, CPN_VIEW_LIT(ROOT_SCOPE));
    case CPN_SCOPE_REFUSED:
        break;
    }
    cpn_reply_rc(call, CPN_DENIED, NULL, NULL);
    return false;
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
    if (body_read(call) && may(call))
        call->route->handle(call);
}
