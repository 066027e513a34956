/* GET .../operations/{id} and .../operationResults/{id}: how a long-running operation went. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <utlist.h>

#include "base/clock.h"
#include "codec/chars.h"
#include "codec/digest.h"
#include "codec/json.h"
#include "control/arm_ops.h"
#include "control/reply.h"

#define LOCATION_MAX 48
#define KIND_OPERATION "arm.operation"

typedef struct op {
    char id[CPN_UUID_TEXT];
    char owner[CPN_UUID_TEXT]; /* object id */
    uint64_t began_ms;
    json_t *result;
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

    DL_FOREACH (ops->list, o) {
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

    DL_FOREACH (ops->list, o) {
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

/* ---- beginning ---- */

static void
id_new(char id[CPN_UUID_TEXT])
{
    cpn_uuid uuid;

    cpn_uuid_new(&uuid);
    cpn_uuid_text(&uuid, id);
}

void
cpn_arm_op_tell(cpn_call *call, const char *where, cpn_arm_op_ways ways, const char *id)
{
    static const char form[] =
        "/subscriptions/%.64s/providers/Microsoft.Network/locations/%s/%s/%s?api-version=%s";
    char url[CPN_ARM_URL_MAX], version[CPN_ARM_VERSION_SIZE], word[LOCATION_MAX];
    const char *subscription = cpn_call_param(call, "subscription");

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
cpn_arm_op_put(cpn_batch *b, const cpn_call *call, char id[CPN_UUID_TEXT])
{
    char body[96];
    uint8_t key[CPN_SHA256_BYTES];

    id_new(id);
    cpn_sha256(cpn_view_str(id), key);
    snprintf(body, sizeof(body), "{\"owner\":\"%s\"}", call->claims.object_id);
    cpn_batch_secret_put(b, KIND_OPERATION, key, cpn_view_str(body),
                         cpn_wall_ms() + CPN_ARM_OPS_KEEP_MS);
}

void
cpn_arm_op_result(cpn_call *call, const char *where, CPN_TAKES json_t *result)
{
    cpn_arm_ops *ops = call->c->arm_ops;
    op *o = cpn_xcalloc(1, sizeof(*o));

    ops_tidy(ops);
    ops_make_room(ops, call->claims.object_id);
    id_new(o->id);
    (void)cpn_view_copy(cpn_view_str(call->claims.object_id), o->owner, sizeof(o->owner));
    o->began_ms = call->began_ms;
    o->result = result;
    DL_APPEND(ops->list, o);
    ops->n++;
    cpn_arm_op_tell(call, where, CPN_ARM_OP_RESULT, o->id);
}

/* ---- rows ---- */

/* Somebody else's operation is as unknown as none. */
static void
not_found(CPN_TAKES cpn_call *call)
{
    cpn_arm_error(call, 404, "OperationNotFound", "There is no operation '%s' of yours.",
                  cpn_call_param(call, "operation"));
}

static bool
is_callers(const cpn_call *call, const char *owner)
{
    return owner[0] && strcasecmp(owner, call->claims.object_id) == 0;
}

static void
state_answer(CPN_TAKES cpn_call *call, json_t *result)
{
    json_t *body =
        json_pack("{s:s,s:s}", "name", cpn_call_param(call, "operation"), "status", "Succeeded");

    if (result)
        json_object_set(body, "properties", result);
    cpn_reply_json(call, 200, body);
}

static void
result_answer(CPN_TAKES cpn_call *call, json_t *result)
{
    cpn_reply_json(call, result ? 200 : 204, json_incref(result));
}

/* The row of a change, or none. True: the caller's; else answered. */
static bool
row_is_callers(CPN_TAKES cpn_call *call, cpn_rc rc, cpn_view body, const cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *row = NULL;

    if (rc < 0 || rc == CPN_LIMIT)
        cpn_reply_rc(call, rc, NULL, err);
    else if (rc != CPN_OK || cpn_json_load_object(&row, body, 256, 4, NULL) != CPN_OK ||
             !is_callers(call, cpn_json_string(row, "owner")))
        not_found(call);
    else
        return true;
    return false;
}

static void
state_read(void *call, cpn_rc rc, cpn_view body, const cpn_err *err)
{
    if (row_is_callers(call, rc, body, err))
        state_answer(call, NULL);
}

static void
result_read(void *call, cpn_rc rc, cpn_view body, const cpn_err *err)
{
    if (row_is_callers(call, rc, body, err))
        result_answer(call, NULL);
}

/* Of those in memory, else of the store's. */
static void
operation_find(cpn_call *call, void (*answer)(cpn_call *, json_t *), cpn_store_body_done *read)
{
    char id[CPN_UUID_TEXT];
    uint8_t key[CPN_SHA256_BYTES];
    cpn_uuid uuid;
    const op *o;
    cpn_rc rc;

    if (!cpn_uuid_parse(&uuid, cpn_view_str(cpn_call_param(call, "operation")))) {
        not_found(call);
        return;
    }
    cpn_uuid_text(&uuid, id);
    ops_tidy(call->c->arm_ops);
    o = op_find(call->c->arm_ops, id);
    if (o && is_callers(call, o->owner)) {
        answer(call, o->result);
    } else if (o) {
        not_found(call);
    } else {
        cpn_sha256(cpn_view_str(id), key);
        rc = cpn_store_secret_get(call->c->store, KIND_OPERATION, key, read, call);
        if (rc != CPN_OK)
            cpn_reply_rc(call, rc, NULL, NULL);
    }
}

static void
operation_show(cpn_call *call)
{
    operation_find(call, state_answer, state_read);
}

static void
result_show(cpn_call *call)
{
    operation_find(call, result_answer, result_read);
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
