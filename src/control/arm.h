/* control/arm.h -- what the rows of the ARM subset share: api-version, ids, errors in Azure's
 * words, ETags, pages.
 *
 * A row with CPN_ERRORS_ARM gets, without a line of its own: literal path segments that compare
 * without case, errors as {"error":{"code","message"}} with Azure's codes, the check of
 * api-version, and the headers x-ms-request-id, x-ms-correlation-request-id and
 * x-ms-client-request-id. Names of functions that answer say so; they take the call. */
#ifndef CPN_CONTROL_ARM_H
#define CPN_CONTROL_ARM_H

#include "control/call.h"

#define CPN_ARM_VERSION_SIZE 24 /* "2024-01-01-preview" */
#define CPN_ARM_ETAG_SIZE 44    /* W/"GUID" */
#define CPN_ARM_LOCATION_SIZE 257
#define CPN_ARM_LOCATION_DEFAULT "local"
#define CPN_ARM_URL_MAX 2048
#define CPN_ARM_PAGE_MAX 1000 /* items; also what $top may be */

#define CPN_ARM_SUB "/subscriptions/{subscription}"
#define CPN_ARM_GROUP CPN_ARM_SUB "/resourceGroups/{group}"

/* ---- the dispatcher's and the reply's ---- */

/* For rows of the subset: is there an api-version YYYY-MM-DD[-preview|-alpha|-beta|-privatepreview]
 * of 2014 to 2029? Every such version means the same here. False: answered, 400. */
bool cpn_arm_version_ok(cpn_call *call);
/* The api-version of the request; "" on other rows. */
const char *cpn_arm_version(const cpn_call *call, char out[CPN_ARM_VERSION_SIZE]);
/* Azure's request headers into the answer; reply.c only. */
void cpn_arm_headers(cpn_call *call);

/* ---- errors; each answers ---- */

void cpn_arm_error(CPN_TAKES cpn_call *call, int status, const char *code, const char *fmt, ...)
    CPN_PRINTF(4, 5);
/* 403 AuthorizationFailed with who, what and where, as the dispatcher says it. */
void cpn_arm_forbidden(CPN_TAKES cpn_call *call, const char *action, const char *scope);
/* The resource of the path is not there: SubscriptionNotFound, ResourceGroupNotFound or
 * ResourceNotFound, whichever is the first that is missing. */
void cpn_arm_not_found(CPN_TAKES cpn_call *call);
/* A change of policy (publish.h) came to nothing: CPN_INVALID 400 InvalidParameter, CPN_EXISTS 409
 * Conflict, others as they are. */
void cpn_arm_failed(CPN_TAKES cpn_call *call, cpn_rc rc, const json_t *problems,
                    const cpn_err *err);

/* ---- ids ---- */

/* The id of the path's resource (cpn_params.scope, or the first n segments' worth of another id)
 * up to its resource group, or to its subscription. False: it has none. */
bool cpn_arm_group_of(const char *id, char out[CPN_ID_MAX + 1]);
bool cpn_arm_subscription_of(const char *id, char out[CPN_ID_MAX + 1]);
/* The last name of an id. */
const char *cpn_arm_name(const char *id);
/* Where the resource is: the document's own "location", else its group's, else "local". As written,
 * and as Azure's names of locations are: "West Europe" is "westeurope" (returns out). */
const char *cpn_arm_location_written(const cpn_snapshot *s, const char *id, const json_t *body);
const char *cpn_arm_location(const cpn_snapshot *s, const char *id, const json_t *body,
                             char out[CPN_ARM_LOCATION_SIZE]);
const char *cpn_arm_location_name(const char *written, char out[CPN_ARM_LOCATION_SIZE]);
/* Whatever their spelling. */
bool cpn_arm_location_same(const char *a, const char *b);
/* "https://HOST" + the formatted path and query. */
void cpn_arm_url(const cpn_call *call, char out[CPN_ARM_URL_MAX], const char *fmt, ...)
    CPN_PRINTF(3, 4);

/* ---- ETags: a digest of the stored document ---- */

void cpn_arm_etag(const json_t *body, char out[CPN_ARM_ETAG_SIZE]);
/* Do If-Match and If-None-Match allow a change of `now` (NULL: there is none yet)? Ask while the
 * change is built, on its base. */
bool cpn_arm_precondition(const cpn_call *call, const json_t *now);

/* ---- pages ----
 *
 *     cpn_arm_page p;
 *     if (!cpn_arm_page_begin(&p, call)) return;
 *     ... cpn_arm_page_put(&p, key, item) for all items in rising order of their keys ...
 *     cpn_arm_page_end(&p);
 *
 * The link to the next page holds the last key, so items that come and go between two pages
 * disturb nothing. Keys compare without case and must not be empty. */
typedef enum cpn_arm_place {
    CPN_ARM_EARLIER, /* on a page before: leave it out  */
    CPN_ARM_HERE,    /* put it                          */
    CPN_ARM_FULL     /* the page is full: stop          */
} cpn_arm_place;

typedef struct cpn_arm_page {
    cpn_call *call;
    json_t *value;
    size_t top;
    bool more;
    char after[CPN_ID_MAX + 8]; /* "": from the start */
    char last[CPN_ID_MAX + 8];
} cpn_arm_page;

/* Reads $top and $skiptoken. False: answered, 400. */
bool cpn_arm_page_begin(cpn_arm_page *p, cpn_call *call);
cpn_arm_place cpn_arm_page_at(cpn_arm_page *p, const char *key);
/* After CPN_ARM_HERE for the same key. */
void cpn_arm_page_put(cpn_arm_page *p, const char *key, CPN_TAKES json_t *item);
/* Answers {"value":[…],"nextLink":"https://…"}; no nextLink on the last page. */
void cpn_arm_page_end(cpn_arm_page *p);
/* The same body, not yet sent, with another name for its link. New reference. */
json_t *cpn_arm_page_body(const cpn_arm_page *p, const char *link_name);

#endif
