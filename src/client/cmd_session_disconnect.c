/* caponier session disconnect: cut sessions now. */
#include <string.h>

#include "client/api.h"
#include "client/out.h"

static const cpn_opt opts[] = {
    { .name = "id",
      .arg = "SESSION",
      .names = "sessions",
      .help = "this session; several: separate them by commas" },
    { .name = "user", .arg = "NAME", .help = "every session of this user" },
    { .name = "target",
      .arg = "MACHINE",
      .names = "machines",
      .help = "every session to this machine, by short name or id" },
    { 0 },
};

/* {"sessionIds":[…]}, {"user"} or {"target"}. New reference; NULL: not exactly one was given. */
static json_t *
request(const cpn_cli *cli)
{
    const char *ids = cpn_args_get(&cli->args, "id");
    const char *user = cpn_args_get(&cli->args, "user");
    const char *target = cpn_args_get(&cli->args, "target");
    cpn_view rest = cpn_view_str(ids);
    cpn_view one;
    json_t *list;
    bool more;

    if (!!ids + !!user + !!target != 1)
        return NULL;
    if (!ids)
        return json_pack("{s:s}", user ? "user" : "target", user ? user : target);
    list = json_array();
    do {
        more = cpn_view_cut(rest, ',', &one, &rest);
        json_array_append_new(list, json_stringn((const char *)one.p, one.n));
    } while (more);
    return json_pack("{s:o}", "sessionIds", list);
}

/* Every one that was asked for must have been there. */
static cpn_rc
judge(const json_t *answer, cpn_err *err)
{
    const json_t *rows = json_object_get(answer, "value");
    const json_t *row;
    size_t i;

    json_array_foreach((json_t *)rows, i, row)
    {
        const char *state = json_string_value(json_object_get(row, "state"));
        const char *id = json_string_value(json_object_get(row, "sessionId"));

        if (!state || strcmp(state, "Disconnected") != 0)
            return cpn_fail(err, CPN_NOT_FOUND, "no live session %s", id ? id : "");
    }
    return json_array_size(rows) ? CPN_OK : cpn_fail(err, CPN_NOT_FOUND, "no live session fits");
}

static cpn_rc
session_disconnect_run(cpn_cli *cli, cpn_err *err)
{
    static const cpn_column columns[] = {
        { "Session", "sessionId" }, { "State", "state" }, { "Milliseconds", "milliseconds" }, { 0 }
    };
    json_auto_t *ask = request(cli);
    json_auto_t *answer = NULL;
    cpn_api a = { 0 };
    cpn_rc rc;

    if (!ask)
        return cpn_fail(err, CPN_INVALID, "give exactly one of --id, --user, --target");
    rc = cpn_api_open(&a, cli, err);
    if (rc == CPN_OK)
        rc = cpn_api_call(&a, "POST", "/v1/sessions/disconnect", ask, &answer, err);
    if (rc == CPN_OK)
        rc = cpn_out_rows(cli, answer, columns, err);
    if (rc == CPN_OK)
        rc = judge(answer, err);
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_session_disconnect = {
    .name = "session disconnect",
    .brief = "Cut live sessions; returns when their sockets are shut",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .examples = (const cpn_example[]){ { "caponier session disconnect --user eve@example.test",
                                         "everything of one user" },
                                       { 0 } },
    .run = session_disconnect_run,
};
