/* control/api.h -- the route table and its dispatcher.
 *
 * A resource is one file api_NAME.c with a table cpn_routes_NAME and one line in this folder's
 * build file. A row says who may call it; the zero value says nobody, and a table with such a row,
 * or with a state-changing row that leaves no audit record, does not start (cpn_api_check).
 * Handlers never ask whether the caller may: the dispatcher did, from the row. Only rows with
 * CPN_SCOPE_EACH filter what they touch, one by one, by the same function. */
#ifndef CPN_CONTROL_API_H
#define CPN_CONTROL_API_H

#include "codec/errstyle.h"
#include "control/core.h"
#include "control/pattern.h"

typedef struct cpn_call cpn_call;

/* Where the scope of the row's action comes from. */
typedef enum cpn_scope_from {
    CPN_SCOPE_REFUSED = 0, /* nobody                                                  */
    CPN_SCOPE_ANYONE,      /* also without a token                                    */
    CPN_SCOPE_OPERATOR,    /* whoever reaches admin_listen, and only there            */
    CPN_SCOPE_SIGNED_IN,   /* every enabled principal                                 */
    CPN_SCOPE_EACH,        /* signed in; the handler asks for each item               */
    CPN_SCOPE_ROOT,        /* the action on "/"                                       */
    CPN_SCOPE_PATH,        /* the action on the resource in the path: cpn_params.scope  */
    CPN_SCOPE_BODY,        /* the action on the JSON body's "scope"                   */
    CPN_SCOPE_ASSIGNMENT,  /* the action on the scope of the assignment in query "id" */
    CPN_SCOPE_SELF_NAME,   /* JSON body without "name" or with the caller's; else root */
    CPN_SCOPE_SELF_USER    /* the same with "user"                                    */
} cpn_scope_from;

typedef enum cpn_body_kind { CPN_BODY_NONE = 0, CPN_BODY_JSON, CPN_BODY_FORM } cpn_body_kind;

typedef struct cpn_route {
    const char *method;
    const char *path; /* a pattern of pattern.h */
    cpn_scope_from from;
    const char *action; /* for the kinds of scope that have one */
    cpn_body_kind body;
    size_t body_max;
    const char *audit; /* event of the audit record; NULL only where nothing changes */
    cpn_error_style errors;
    void (*handle)(cpn_call *call);
} cpn_route;

#define CPN_BODY_USUAL 65536
#define CPN_BODY_APPLY (32u << 20)

/* The row's limit, as the settings have it. */
size_t cpn_route_body_max(const cpn_control *c, const cpn_route *r);

/* NULL-terminated: every table of the build. */
extern const cpn_route *const cpn_route_tables[];

/* Every row is complete. CPN_E_CONF names the first that is not; start-up ends there. */
cpn_rc cpn_api_check(cpn_err *err) CPN_MUST_CHECK;
/* CPN_NOT_FOUND: no such path. CPN_DENIED: another method; allow names those that exist. */
cpn_rc cpn_api_match(cpn_view method, cpn_view path, const cpn_route **out, cpn_params *params,
                     char allow[64]) CPN_MUST_CHECK;
/* Part of the Azure door, which az_clients: false closes. */
bool cpn_route_azure(const cpn_route *r);
/* Asked before the body, where the scope does not depend on it. False: answered. */
bool cpn_api_may_early(cpn_call *call);
/* Asked again, of the newest policy, when what the call wants to change has its turn. */
bool cpn_api_still_may(const cpn_call *call);
/* The body is whole: may the caller? then the handler, else the refusal. */
void cpn_api_dispatch(cpn_call *call);

#endif
