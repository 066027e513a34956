/* caponier can-i: would this connection be allowed, and if not, what is missing? */
#include "client/out.h"
#include "client/target.h"
#include "client/why.h"

static const cpn_opt opts[] = {
    CPN_TARGET_OPTS,
    { .name = "user", .arg = "NAME", .def = "you", .help = "ask for another user; Owner on / may" },
    { .name = "why", .help = "list every reason, with what would mend it" },
    { 0 },
};

/* Every line of the decision as a row. */
static cpn_rc
explain(cpn_api *a, json_t *answer, const char *user, cpn_err *err)
{
    static const cpn_column columns[] = { { "Reason", "message" },
                                          { "Role", "role" },
                                          { "Scope", "scope" },
                                          { "Mended by", "mend" },
                                          { 0 } };

    json_object_set_new(answer, "value", cpn_why_rows(answer, user ? user : a->ctx.user));
    return cpn_out_rows(a->cli, answer, columns, err);
}

static cpn_rc
can_i(cpn_api *a, cpn_target *t, cpn_err *err)
{
    static const cpn_column columns[] = {
        { "Allowed", "allowed" }, { "Reason", "reason" }, { "Message", "message" }, { 0 }
    };
    const char *user = cpn_args_get(&a->cli->args, "user");
    bool why = cpn_args_has(&a->cli->args, "why");
    bool allowed;
    json_auto_t *ask = NULL;
    json_auto_t *answer = NULL;
    cpn_rc rc = cpn_target_resolve(t, a, NULL, err);

    if (rc != CPN_OK)
        return rc;
    ask = cpn_target_json(t);
    if (user)
        json_object_set_new(ask, "user", json_string(user));
    rc = cpn_api_call(a, "POST", "/v1/can-i", ask, &answer, err);
    allowed = json_is_true(json_object_get(answer, "allowed"));
    if (rc == CPN_OK && why && !allowed)
        rc = explain(a, answer, user, err);
    else if (rc == CPN_OK)
        rc = cpn_out_object(a->cli, answer, columns, err);
    if (rc != CPN_OK || allowed)
        return rc;
    if (!why)
        a->cli->problem = cpn_steal(&answer);
    return CPN_DENIED;
}

static cpn_rc
can_i_run(cpn_cli *cli, cpn_err *err)
{
    cpn_target t;
    cpn_api a = { 0 };
    cpn_rc rc = cpn_target_read(&t, cli, err);

    if (rc == CPN_OK)
        rc = cpn_api_open(&a, cli, err);
    if (rc == CPN_OK)
        rc = can_i(&a, &t, err);
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_can_i = {
    .name = "can-i",
    .brief = "Ask whether a connection would be allowed, and what is missing",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .args = "[TARGET]",
    .names = "machines",
    .args_help = "the machine, by short name or resource id",
    .max_args = 1,
    .examples =
        (const cpn_example[]){ { "caponier can-i web1", "exit status 0: yes, 3: no" },
                               { "caponier can-i web1 --resource-port 3389 --user ada@example.test",
                                 "an administrator asks for somebody" },
                               { "caponier can-i web1 --why", "each missing role as a command" },
                               { 0 } },
    .run = can_i_run,
};
