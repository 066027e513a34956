/* GET .../operations/{id} and .../operationResults/{id}: how a long-running operation went. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <utlist.h>

#include "codec/chars.h"
#include "control/arm_ops.h"
#include "control/reply.h"

#define LOCATION_MAX 48

typedef enum op_state { OP_RUNNING, OP_DONE, OP_FAILED } op_state;

typedef struct op {
    char id[CPN_UUID_TEXT];
    char owner[CPN_UUID_TEXT]; /* object id */
    op_state state;
    uint64_t began_ms;
    json_t *result;
    char code[64];
    char message[512];
    struct op *prev, *next; /* oldest first */
} op;

struct cpn_arm_ops {
    op *list;
    unsigned n;
};

cpn_arm_ops *
cpn_arm_ops_new(void)
{
    return cpn_xcalloc(1, sizeof(cpn_arm_ops));
}

static void
op_drop(cpn_arm_ops *ops, op *o)
{
    DL_DELETE(ops->list, o);
    ops->n--;
    json_decref(o->result);
    free(o);
}

void
cpn_arm_ops_free(cpn_arm_ops *ops)
{
    while (ops && ops->list)
        op_drop(ops, ops->list);
    free(ops);
}

static op *
op_find(const cpn_arm_ops *ops, const char *id)
{
    op *o;

    DL_FOREACH(ops->list, o)
    {
        if (strcasecmp(o->id, id) == 0)
            return o;
    }
    return NULL;
}

static void
ops_tidy(cpn_arm_ops *ops)
{
    uint64_t now_ms = cpn_mono_ms();

    while (ops->list &&
           (ops->n >= CPN_ARM_OPS_MAX || now_ms - ops->list->began_ms > CPN_ARM_OPS_KEEP_MS))
        op_drop(ops, ops->list);
}

/* Of one principal's the oldest gives way. */
static void
ops_make_room(cpn_arm_ops *ops, const char *owner)
{
    op *o, *oldest = NULL;
    unsigned n = 0;

    DL_FOREACH(ops->list, o)
    {
        if (strcasecmp(o->owner, owner) != 0)
            continue;
        if (!oldest)
            oldest = o;
        n++;
    }
    if (n >= CPN_ARM_OPS_EACH)
        op_drop(ops, oldest);
}

/* "West Europe" is "westeurope" in Azure's addresses. */
static void
location_word(const char *where, char out[LOCATION_MAX])
{
    size_t n = 0;

    for (; *where && n < LOCATION_MAX - 1; where++)
        if (cpn_is_alnum((uint8_t)*where))
            out[n++] = (char)(*where >= 'A' && *where <= 'Z' ? *where + 32 : *where);
    out[n] = '\0';
    if (n == 0)
        snprintf(out, LOCATION_MAX, "local");
}

void
cpn_arm_op_start(cpn_call *call, const char *where, cpn_arm_op_ways ways, char id[CPN_UUID_TEXT])
{
    cpn_arm_ops *ops = call->c->arm_ops;
    op *o = cpn_xcalloc(1, sizeof(*o));
    char url[CPN_ARM_URL_MAX], version[CPN_ARM_VERSION_SIZE], word[LOCATION_MAX];
    static const char form[] =
        "/subscriptions/%.64s/providers/Microsoft.Network/locations/%s/%s/%s?api-version=%s";
    const char *subscription = cpn_call_param(call, "subscription");
    cpn_uuid uuid;

    ops_tidy(ops);
    ops_make_room(ops, call->claims.object_id);
    cpn_uuid_new(&uuid);
    cpn_uuid_text(&uuid, o->id);
    memcpy(id, o->id, CPN_UUID_TEXT);
    (void)cpn_view_copy(cpn_view_str(call->claims.object_id), o->owner, sizeof(o->owner));
    o->began_ms = call->began_ms;
    DL_APPEND(ops->list, o);
    ops->n++;
    location_word(where, word);
    cpn_arm_version(call, version);
    cpn_arm_url(call, url, form, subscription, word, "operations", id, version);
    if (ways & CPN_ARM_OP_STATE)
        cpn_call_header(call, "Azure-AsyncOperation", url);
    cpn_arm_url(call, url, form, subscription, word, "operationResults", id, version);
    if (ways & CPN_ARM_OP_RESULT)
        cpn_call_header(call, "Location", url);
    /* Without it clients wait half a minute before they look again. */
    cpn_call_header(call, "Retry-After", "1");
}

void
cpn_arm_op_done(cpn_control *c, const char *id, CPN_TAKES json_t *result)
{
    op *o = op_find(c->arm_ops, id);

    if (!o) {
        json_decref(result);
        return;
    }
    o->state = OP_DONE;
    o->result = result;
}

void
cpn_arm_op_failed(cpn_control *c, const char *id, const char *code, const char *message)
{
    op *o = op_find(c->arm_ops, id);

    if (!o)
        return;
    o->state = OP_FAILED;
    snprintf(o->code, sizeof(o->code), "%s", code);
    snprintf(o->message, sizeof(o->message), "%s", message);
}

/* ---- rows ---- */

/* NULL: answered. Somebody else's operation is as unknown as none. */
static op *
callers_op(cpn_call *call)
{
    const char *id = cpn_call_param(call, "operation");
    op *o;

    ops_tidy(call->c->arm_ops);
    o = op_find(call->c->arm_ops, id);
    if (o && strcasecmp(o->owner, call->claims.object_id) == 0)
        return o;
    cpn_arm_error(call, 404, "OperationNotFound", "There is no operation '%s' of yours.", id);
    return NULL;
}

static void
operation_show(cpn_call *call)
{
    static const char *const words[] = {
        [OP_RUNNING] = "InProgress", [OP_DONE] = "Succeeded", [OP_FAILED] = "Failed"
    };
    const op *o = callers_op(call);
    json_t *body;

    if (!o)
        return;
    body = json_pack("{s:s,s:s}", "name", o->id, "status", words[o->state]);
    if (o->state == OP_FAILED)
        json_object_set_new(body, "error",
                            json_pack("{s:s,s:s}", "code", o->code, "message", o->message));
    if (o->state == OP_DONE && o->result)
        json_object_set(body, "properties", o->result);
    if (o->state == OP_RUNNING)
        cpn_call_header(call, "Retry-After", "1");
    cpn_reply_json(call, 200, body);
}

static void
result_show(cpn_call *call)
{
    const op *o = callers_op(call);

    if (!o)
        return;
    if (o->state == OP_FAILED) {
        cpn_arm_error(call, 409, o->code, "%s", o->message);
    } else if (o->state == OP_DONE) {
        cpn_reply_json(call, o->result ? 200 : 204, o->result ? json_incref(o->result) : NULL);
    } else {
        char url[CPN_ARM_URL_MAX], version[CPN_ARM_VERSION_SIZE];

        cpn_arm_url(call, url, "%s?api-version=%s", call->path, cpn_arm_version(call, version));
        cpn_call_header(call, "Location", url);
        cpn_call_header(call, "Retry-After", "1");
        cpn_reply_json(call, 202, NULL);
    }
}

#define OF_LOCATION                                                                                \
    "/subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}/"

/* Who may see one is a matter of who began it. */
const cpn_route cpn_routes_arm_operations[] = {
    { "GET", OF_LOCATION "operations/{operation}", CPN_SCOPE_SIGNED_IN, NULL, CPN_BODY_NONE, 0,
      NULL, CPN_ERRORS_ARM, operation_show },
    { "GET", OF_LOCATION "operationResults/{operation}", CPN_SCOPE_SIGNED_IN, NULL, CPN_BODY_NONE,
      0, NULL, CPN_ERRORS_ARM, result_show },
    { 0 },
};
