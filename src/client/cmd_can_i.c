/* caponier can-i: would this connection be allowed, and if not, what is missing? */
#include "client/out.h"
#include "client/target.h"

static const cpn_opt opts[] = {
    CPN_TARGET_OPTS,
    { .name = "user", .arg = "NAME", .def = "you", .help = "ask for another user; Owner on / may" },
    { 0 },
};

static cpn_rc
can_i(cpn_api *a, cpn_target *t, cpn_err *err)
{
    static const cpn_column columns[] = {
        { "Allowed", "allowed" }, { "Reason", "reason" }, { "Message", "message" }, { 0 }
    };
    const char *user = cpn_args_get(&a->cli->args, "user");
    json_auto_t *ask = NULL;
    json_auto_t *answer = NULL;
    cpn_rc rc = cpn_target_resolve(t, a, NULL, err);

    if (rc != CPN_OK)
        return rc;
    ask = cpn_target_json(t);
    if (user)
        json_object_set_new(ask, "user", json_string(user));
    rc = cpn_api_call(a, "POST", "/v1/can-i", ask, &answer, err);
    if (rc == CPN_OK)
        rc = cpn_out_object(a->cli, answer, columns, err);
    if (rc != CPN_OK || json_is_true(json_object_get(answer, "allowed")))
        return rc;
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
    .args_help = "the machine, by short name or resource id",
    .max_args = 1,
    .examples =
        (const cpn_example[]){ { "caponier can-i web1", "exit status 0: yes, 3: no" },
                               { "caponier can-i web1 --resource-port 3389 --user ada@example.test",
                                 "an administrator asks for somebody" },
                               { 0 } },
    .run = can_i_run,
};
