/* Azure Resource Manager's words and shapes, for every row of the subset. */
#include "control/arm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "codec/chars.h"
#include "codec/digest.h"
#include "control/reply.h"
#include "model/uuid.h"

#define YEAR_MIN 2014
#define YEAR_MAX 2029

/* ---- api-version ---- */

static bool
number_at(cpn_view v, size_t at, size_t n, unsigned min, unsigned max, unsigned *out)
{
    *out = 0;
    for (size_t i = at; i < at + n; i++) {
        if (i >= v.n || !cpn_is_digit(v.p[i]))
            return false;
        *out = *out * 10 + (v.p[i] - '0');
    }
    return *out >= min && *out <= max;
}

static bool
version_good(cpn_view v)
{
    static const char *const stages[] = { "-preview", "-alpha", "-beta", "-privatepreview" };
    static const unsigned days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    cpn_view stage = cpn_view_skip(v, 10);
    unsigned year, month, day;

    if (!number_at(v, 0, 4, YEAR_MIN, YEAR_MAX, &year) || !number_at(v, 5, 2, 1, 12, &month) ||
        !number_at(v, 8, 2, 1, days[month - 1], &day) || v.p[4] != '-' || v.p[7] != '-')
        return false;
    for (size_t i = 0; stage.n && i < CPN_COUNT(stages); i++)
        if (cpn_view_is_nocase(stage, stages[i]))
            return true;
    return stage.n == 0;
}

bool
cpn_arm_version_ok(cpn_call *call)
{
    cpn_view v = cpn_form_get(&call->query, "api-version");

    if (call->route->errors != CPN_ERRORS_ARM || (v.p && version_good(v)))
        return true;
    if (v.n == 0)
        cpn_arm_error(
            call, 400, "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.");
    else
        cpn_arm_error(call, 400, "InvalidApiVersionParameter",
                      "The api-version '%.*s' is invalid. Expected is a date YYYY-MM-DD, with "
                      "-preview behind it or not, for example '2024-01-01'.",
                      (int)CPN_MIN(v.n, 40), (const char *)v.p);
    return false;
}

const char *
cpn_arm_version(const cpn_call *call, char out[CPN_ARM_VERSION_SIZE])
{
    (void)cpn_view_copy(cpn_form_get(&call->query, "api-version"), out, CPN_ARM_VERSION_SIZE);
    return out;
}

void
cpn_arm_headers(cpn_call *call)
{
    char text[CPN_UUID_TEXT];
    cpn_uuid id;

    if (call->errors != CPN_ERRORS_ARM)
        return;
    cpn_uuid_new(&id);
    cpn_uuid_text(&id, text);
    cpn_call_header(call, "x-ms-request-id", text);
    cpn_call_header(call, "x-ms-correlation-request-id", text);
    if (call->client_request_id[0])
        cpn_call_header(call, "x-ms-client-request-id", call->client_request_id);
}

/* ---- errors ---- */

void
cpn_arm_error(CPN_TAKES cpn_call *call, int status, const char *code, const char *fmt, ...)
{
    char sentence[CPN_ID_MAX * 2 + 512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(sentence, sizeof(sentence), fmt, ap);
    va_end(ap);
    cpn_reply_error(call, status, code, sentence, NULL);
}

void
cpn_arm_forbidden(CPN_TAKES cpn_call *call, const char *action, const char *scope)
{
    const cpn_principal *who = cpn_call_who(call);

    cpn_arm_error(call, 403, "AuthorizationFailed",
                  "The client '%s' with object id '%s' does not have authorization to perform "
                  "action '%s' over scope '%s' or the scope is invalid.",
                  who ? who->name : "", who ? who->object_id : "", action, scope);
}

static bool
exists(const cpn_call *call, const char *kind, const char *id)
{
    return cpn_snapshot_document(call->c->snapshot, kind, cpn_view_str(id)) != NULL;
}

void
cpn_arm_not_found(CPN_TAKES cpn_call *call)
{
    const char *id = call->params.scope;
    const char *type = strcasestr(id, "/providers/");
    char sub[CPN_ID_MAX + 1], group[CPN_ID_MAX + 1];

    if (cpn_arm_subscription_of(id, sub) && !exists(call, CPN_KIND_SUBSCRIPTION, sub)) {
        cpn_arm_error(call, 404, "SubscriptionNotFound",
                      "The subscription '%s' could not be found.", cpn_arm_name(sub));
        return;
    }
    if (cpn_arm_group_of(id, group) && !exists(call, CPN_KIND_GROUP, group)) {
        cpn_arm_error(call, 404, "ResourceGroupNotFound", "Resource group '%s' could not be found.",
                      cpn_arm_name(group));
        return;
    }
    cpn_arm_error(call, 404, "ResourceNotFound", "The Resource '%s' was not found.",
                  type ? type + strlen("/providers/") : id);
}

void
cpn_arm_failed(CPN_TAKES cpn_call *call, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    const char *said = json_string_value(json_array_get(problems, 0));

    if (!said && err && err->msg[0])
        said = err->msg;
    if (rc == CPN_INVALID)
        cpn_arm_error(call, 400, "InvalidParameter", "%s", said ? said : "A value is not allowed.");
    else if (rc == CPN_EXISTS)
        cpn_arm_error(call, 409, "Conflict", "%s",
                      said ? said : "The resource was changed meanwhile. Try again.");
    else
        cpn_reply_rc(call, rc, said, err);
}

/* ---- ids ---- */

/* The first `pairs` "/word/name" pairs of an id; false when it has fewer. */
static bool
id_head(const char *id, unsigned pairs, char out[CPN_ID_MAX + 1])
{
    const char *end = id;

    for (unsigned i = 0; i < pairs * 2; i++) {
        if (*end != '/')
            return false;
        end += 1 + strcspn(end + 1, "/");
    }
    return cpn_view_copy((cpn_view){ (const uint8_t *)id, (size_t)(end - id) }, out,
                         CPN_ID_MAX + 1);
}

bool
cpn_arm_subscription_of(const char *id, char out[CPN_ID_MAX + 1])
{
    return strncasecmp(id, "/subscriptions/", strlen("/subscriptions/")) == 0 &&
           id_head(id, 1, out);
}

bool
cpn_arm_group_of(const char *id, char out[CPN_ID_MAX + 1])
{
    return cpn_arm_subscription_of(id, out) &&
           strncasecmp(id + strlen(out), "/resourceGroups/", strlen("/resourceGroups/")) == 0 &&
           id_head(id, 2, out);
}

const char *
cpn_arm_name(const char *id)
{
    const char *slash = strrchr(id, '/');

    return slash ? slash + 1 : id;
}

const char *
cpn_arm_location_written(const cpn_snapshot *s, const char *id, const json_t *body)
{
    const char *own = cpn_json_string(body, "location"), *of_group = "";
    char group[CPN_ID_MAX + 1];

    if (!own[0] && cpn_arm_group_of(id, group))
        of_group = cpn_json_string(cpn_snapshot_document(s, CPN_KIND_GROUP, cpn_view_str(group)),
                                   "location");
    return own[0] ? own : of_group[0] ? of_group : CPN_ARM_LOCATION_DEFAULT;
}

const char *
cpn_arm_location_name(const char *written, char out[CPN_ARM_LOCATION_SIZE])
{
    size_t n = 0, whole = cpn_utf8_cut(written, CPN_ARM_LOCATION_SIZE - 1);

    for (const char *at = written; at < written + whole; at++)
        if (*at != ' ')
            out[n++] = (char)(*at >= 'A' && *at <= 'Z' ? *at + 32 : *at);
    out[n] = '\0';
    return out;
}

const char *
cpn_arm_location(const cpn_snapshot *s, const char *id, const json_t *body,
                 char out[CPN_ARM_LOCATION_SIZE])
{
    return cpn_arm_location_name(cpn_arm_location_written(s, id, body), out);
}

bool
cpn_arm_location_same(const char *a, const char *b)
{
    char one[CPN_ARM_LOCATION_SIZE], two[CPN_ARM_LOCATION_SIZE];

    return strcmp(cpn_arm_location_name(a, one), cpn_arm_location_name(b, two)) == 0;
}

void
cpn_arm_url(const cpn_call *call, char out[CPN_ARM_URL_MAX], const char *fmt, ...)
{
    int n = snprintf(out, CPN_ARM_URL_MAX, "https://%s", call->c->host);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(out + n, (size_t)(CPN_ARM_URL_MAX - n), fmt, ap);
    va_end(ap);
}

/* ---- ETags ---- */

void
cpn_arm_etag(const json_t *body, char out[CPN_ARM_ETAG_SIZE])
{
    char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    char guid[CPN_UUID_TEXT];
    uint8_t digest[CPN_SHA256_BYTES];
    cpn_uuid id;

    if (!text)
        abort(); /* no memory */
    cpn_sha256(cpn_view_str(text), digest);
    free(text);
    memcpy(id.b, digest, sizeof(id.b));
    snprintf(out, CPN_ARM_ETAG_SIZE, "W/\"%s\"", cpn_uuid_text(&id, guid));
}

/* Is the tag in the header's list? Weak and strong spelling are one: bodies are compared whole. */
static bool
lists_tag(const char *list, const char *etag)
{
    cpn_view rest = cpn_view_str(list), item;
    cpn_view want = cpn_view_skip(cpn_view_str(etag), 2);

    while (rest.n) {
        (void)cpn_view_cut(rest, ',', &item, &rest);
        item = cpn_trim(item);
        if (cpn_view_starts(item, "W/"))
            item = cpn_view_skip(item, 2);
        if (cpn_view_eq(item, want) || cpn_view_is(item, "*"))
            return true;
    }
    return false;
}

bool
cpn_arm_precondition(const cpn_call *call, const json_t *now)
{
    char etag[CPN_ARM_ETAG_SIZE] = "";

    if (now)
        cpn_arm_etag(now, etag);
    if (call->if_match[0] && (!now || !lists_tag(call->if_match, etag)))
        return false;
    return !call->if_none_match[0] || !now || !lists_tag(call->if_none_match, etag);
}
