/* caponier role assign: give somebody a role somewhere. */
#include <string.h>

#include "client/api.h"
#include "client/out.h"
#include "codec/units.h"

static const cpn_opt opts[] = {
    { .name = "assignee",
      .arg = "NAME",
      .help = "user, group or service principal, by name or object id",
      .must = true },
    { .name = "role", .arg = "ROLE", .def = "Reader", .help = "the role's name" },
    { .name = "scope",
      .arg = "ID",
      .help = "the resource id that it holds for, and everything below; / is all",
      .must = true },
    { .name = "max-upload",
      .arg = "SIZE",
      .def = "none",
      .help = "how much one session may send to the machine, such as 100MiB" },
    { .name = "max-download",
      .arg = "SIZE",
      .def = "none",
      .help = "how much one session may fetch from it, such as 1GiB" },
    { .name = "deny", .help = "forbid instead of allow; a deny beats every allow" },
    { 0 },
};

static cpn_rc
put_limit(const cpn_args *args, const char *option, json_t *ask, const char *key, cpn_err *err)
{
    const char *text = cpn_args_get(args, option);
    uint64_t bytes;

    if (!text || strcmp(text, "none") == 0)
        return CPN_OK;
    if (!cpn_units_size(cpn_view_str(text), &bytes) || bytes == 0 || bytes > INT64_MAX)
        return cpn_fail(err, CPN_INVALID, "--%s %s: expected a size such as 100MiB", option, text);
    json_object_set_new(ask, key, json_integer((json_int_t)bytes));
    return CPN_OK;
}

static cpn_rc
role_assign_run(cpn_cli *cli, cpn_err *err)
{
    static const cpn_column columns[] = {
        { "Id", "id" }, { "Role", "body.role" }, { "Effect", "body.effect" }, { 0 }
    };
    const char *who = cpn_args_get(&cli->args, "assignee");
    const char *scope = cpn_args_get(&cli->args, "scope");
    cpn_api a = { 0 };
    json_auto_t *ask = NULL;
    json_auto_t *answer = NULL;
    cpn_rc rc;

    if (scope[0] != '/')
        return cpn_fail(err, CPN_INVALID,
                        "--scope: '%s' is no resource id, such as "
                        "/subscriptions/ID/resourceGroups/lab, or / for all",
                        scope);
    ask = json_pack("{s:s, s:s, s:s, s:s}", "principal", who, "role",
                    cpn_args_or_default(&cli->args, "role"), "scope", scope, "effect",
                    cpn_args_has(&cli->args, "deny") ? "Deny" : "Allow");
    if (!ask)
        return cpn_fail(err, CPN_INVALID, "the options are not UTF-8");
    rc = put_limit(&cli->args, "max-upload", ask, "maxUploadBytes", err);
    if (rc == CPN_OK)
        rc = put_limit(&cli->args, "max-download", ask, "maxDownloadBytes", err);
    if (rc == CPN_OK)
        rc = cpn_api_open(&a, cli, err);
    if (rc == CPN_OK)
        rc = cpn_api_call(&a, "POST", "/v1/role-assignments", ask, &answer, err);
    if (rc == CPN_OK)
        rc = cpn_out_object(cli, answer, columns, err);
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_role_assign = {
    .name = "role assign",
    .brief = "Give a user, group or service principal a role",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .examples =
        (const cpn_example[]){
            { "caponier role assign --assignee ada@example.test --role Reader --scope "
              "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/lab",
              "Reader on a whole group" },
            { "caponier role assign --assignee contractor@example.test --scope "
              "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/lab --max-upload "
              "100MiB --max-download 1GiB",
              "no session of theirs moves more" },
            { 0 } },
    .run = role_assign_run,
};
