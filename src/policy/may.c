/* Decides whether assignments, a principal's own and its groups', allow an action on a scope. */
#include "policy/may.h"

#include "base/clock.h"
#include "policy/decide.h"

#define SUBSCRIPTION_READ "Microsoft.Resources/subscriptions/read"

const cpn_node *
cpn_may_caller(const cpn_snapshot *s, const cpn_principal *who)
{
    const cpn_node *n =
        who ? cpn_node_find_view(s, CPN_K_PRINCIPAL, cpn_view_str(who->object_id)) : NULL;

    if (!n || !n->as.principal.is.enabled || n->as.principal.is.kind == CPN_PRINCIPAL_GROUP)
        return NULL;
    return n;
}

cpn_view
cpn_may_scope(const cpn_node *assignment)
{
    const cpn_ref *r = &assignment->doc->as.assignment.scope;

    return r->lower ? (cpn_view){ (const uint8_t *)r->lower, r->n } : CPN_VIEW_LIT("/");
}

typedef struct cpn_asked {
    cpn_plane plane;
    const char *action;
    cpn_view scope;
    int64_t now_s;
    cpn_may_answer best; /* of the allowing assignments so far */
    cpn_byte_limits limits;
} cpn_asked;

/* False: a deny holds, and nothing else counts. */
static bool
weigh(const cpn_run *run, cpn_asked *asked)
{
    for (unsigned i = 0; i < run->n; i++) {
        const cpn_node *a = run->at[i];
        const cpn_doc *d = a->doc;
        bool open;

        if (!cpn_scope_holds(cpn_may_scope(a), asked->scope) ||
            !cpn_role_allows(a->as.role, asked->plane, asked->action))
            continue;
        open = cpn_window_open(&d->as.assignment.window, asked->now_s);
        if (d->as.assignment.deny && open)
            return false;
        if (!d->as.assignment.deny && open) {
            asked->best = CPN_MAY_YES;
            asked->limits.up = CPN_MAX(asked->limits.up, d->as.assignment.limits.up);
            asked->limits.down = CPN_MAX(asked->limits.down, d->as.assignment.limits.down);
        } else if (!d->as.assignment.deny && asked->best == CPN_MAY_NO)
            asked->best = CPN_MAY_WINDOW;
    }
    return true;
}

/* An action that is asked for fills in how it is answered. */
static cpn_may_answer
ask(const cpn_node *who, cpn_asked *asked)
{
    if (!who)
        return CPN_MAY_NO;
    if (!weigh(&who->as.principal.assignments, asked))
        return CPN_MAY_DENIED;
    for (unsigned i = 0; i < who->as.principal.groups.n; i++)
        if (!weigh(&who->as.principal.groups.at[i]->as.principal.assignments, asked))
            return CPN_MAY_DENIED;
    return asked->best;
}

cpn_may_answer
cpn_may_ask(const cpn_node *who, cpn_plane plane, const char *action, cpn_view scope, int64_t now_s)
{
    cpn_asked asked = { .plane = plane, .action = action, .scope = scope, .now_s = now_s };

    return ask(who, &asked);
}

cpn_may_answer
cpn_may_ask_limited(const cpn_node *who, const char *action, cpn_view scope, int64_t now_s,
                    cpn_byte_limits *limits)
{
    cpn_asked asked = {
        .plane = CPN_PLANE_CONTROL, .action = action, .scope = scope, .now_s = now_s
    };
    cpn_may_answer answer = ask(who, &asked);

    *limits = asked.limits;
    return answer;
}

bool
cpn_may_at(const cpn_snapshot *s, const cpn_principal *who, const char *action, cpn_view scope,
           int64_t now_s)
{
    return cpn_may_ask(cpn_may_caller(s, who), CPN_PLANE_CONTROL, action, scope, now_s) ==
           CPN_MAY_YES;
}

bool
cpn_may_data_at(const cpn_snapshot *s, const cpn_principal *who, const char *action, cpn_view scope,
                int64_t now_s)
{
    return cpn_may_ask(cpn_may_caller(s, who), CPN_PLANE_DATA, action, scope, now_s) == CPN_MAY_YES;
}

bool
cpn_may(const cpn_snapshot *s, const cpn_principal *who, const char *action, cpn_view scope)
{
    return cpn_may_at(s, who, action, scope, cpn_wall_s());
}

static bool
any_within(const cpn_run *run, cpn_view scope, int64_t now_s)
{
    for (unsigned i = 0; i < run->n; i++) {
        const cpn_doc *d = run->at[i]->doc;
        cpn_view assigned = cpn_may_scope(run->at[i]);

        if (!d->as.assignment.deny && cpn_window_open(&d->as.assignment.window, now_s) &&
            (cpn_scope_holds(assigned, scope) || cpn_scope_holds(scope, assigned)))
            return true;
    }
    return false;
}

bool
cpn_may_within(const cpn_snapshot *s, const cpn_principal *who, cpn_view scope)
{
    const cpn_node *caller = cpn_may_caller(s, who);
    int64_t now_s = cpn_wall_s();
    bool some;

    if (!caller ||
        cpn_may_ask(caller, CPN_PLANE_CONTROL, SUBSCRIPTION_READ, scope, now_s) == CPN_MAY_DENIED)
        return false;
    some = any_within(&caller->as.principal.assignments, scope, now_s);
    for (unsigned i = 0; !some && i < caller->as.principal.groups.n; i++)
        some =
            any_within(&caller->as.principal.groups.at[i]->as.principal.assignments, scope, now_s);
    return some;
}

/* Does one of these assignments, with all denials against it, allow the action at its own scope? */
static bool
any_allows(const cpn_node *who, const cpn_run *run, const char *action)
{
    for (unsigned i = 0; i < run->n; i++) {
        if (cpn_role_allows(run->at[i]->as.role, CPN_PLANE_CONTROL, action) &&
            cpn_may_ask(who, CPN_PLANE_CONTROL, action, cpn_may_scope(run->at[i]), cpn_wall_s()) ==
                CPN_MAY_YES)
            return true;
    }
    return false;
}

bool
cpn_may_anywhere(const cpn_snapshot *s, const cpn_principal *who, const char *action)
{
    const cpn_node *n = cpn_may_caller(s, who);

    if (!n)
        return false;
    for (unsigned i = 0; i < n->as.principal.groups.n; i++)
        if (any_allows(n, &n->as.principal.groups.at[i]->as.principal.assignments, action))
            return true;
    return any_allows(n, &n->as.principal.assignments, action);
}
