/* Any JSON as an inventory, a list of {kind, id, body}: put, seal, list, decide. What was sealed
 * once can be edited and sealed again, and nobody without an assignment is let in. */
#include <stdlib.h>

#include "policy/decide.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The first of each kind, to ask about. */
typedef struct cpn_picked {
    const char *principal, *bastion, *machine;
} cpn_picked;

static bool
pick(void *owner, const char *id, const json_t *body)
{
    const char **slot = owner;

    *slot = id;
    return body == NULL;
}

static void
ask(const cpn_snapshot *s)
{
    cpn_picked got = { 0 };
    char line[64];
    cpn_facts f = { .port = 22, .now_s = 1795392000 };
    cpn_verdict v;
    json_t *json;

    cpn_snapshot_each(s, CPN_KIND_PRINCIPAL, NULL, pick, &got.principal);
    cpn_snapshot_each(s, CPN_KIND_BASTION, NULL, pick, &got.bastion);
    cpn_snapshot_each(s, CPN_KIND_MACHINE, NULL, pick, &got.machine);
    f.who = got.principal ? cpn_snapshot_principal(s, cpn_view_str(got.principal)) : NULL;
    f.bastion_id = cpn_view_str(got.bastion);
    for (int i = 0; i < 4; i++) {
        f.tell_all = i & 1;
        f.target_id = i & 2 ? (cpn_view){ 0 } : cpn_view_str(got.machine);
        f.target_ip = i & 2 ? CPN_VIEW_LIT("10.0.1.4") : (cpn_view){ 0 };
        if (cpn_decide(s, &f, &v) == CPN_OK && (!f.who || !f.who->enabled || !v.bastion))
            abort();
        if (cpn_verdict_sentence(&v, line, sizeof(line)) >= sizeof(line))
            abort();
        json = cpn_verdict_json(&v);
        if (!json)
            abort();
        json_decref(json);
    }
}

static void
put_all(cpn_snapshot_edit *e, const json_t *list)
{
    cpn_err err;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *d = json_array_get(list, i), *body = json_object_get(d, "body");
        const char *kind = json_string_value(json_object_get(d, "kind"));
        const char *id = json_string_value(json_object_get(d, "id"));

        if (kind && id && !body)
            (void)!cpn_snapshot_delete(e, kind, id);
        else if (kind && id)
            (void)!cpn_snapshot_put(e, kind, id, body, &err);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    json_t *list = json_loadb((const char *)bytes, size, JSON_ALLOW_NUL, NULL);
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(NULL);
    cpn_snapshot *s = NULL, *again = NULL;
    json_t *problems = NULL;
    cpn_err err;

    cpn_snapshot_edit_bounds(e, 200, false);
    put_all(e, list);
    if (cpn_snapshot_seal(&s, e, 1, &problems, &err) == CPN_OK) {
        ask(s);
        e = cpn_snapshot_edit_new(s);
        put_all(e, list);
        cpn_snapshot_unref(s);
        if (cpn_snapshot_seal(&again, e, 2, NULL, &err) != CPN_OK)
            abort();
        cpn_snapshot_unref(again);
    } else {
        if (json_array_size(problems) == 0)
            abort();
        cpn_snapshot_edit_free(e);
    }
    json_decref(problems);
    json_decref(list);
    return 0;
}
