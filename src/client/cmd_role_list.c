/* caponier role list: who has which role where. */
#include <string.h>

#include "client/out.h"
#include "client/rows.h"
#include "model/resource.h"

static const cpn_opt opts[] = {
    { .name = "assignee",
      .arg = "NAME",
      .def = "all",
      .help = "only this user's, group's or service principal's" },
    { .name = "scope", .arg = "ID", .def = "all", .help = "only at exactly this scope" },
    { 0 },
};

/* The scope is the id in front of the assignment's own part. */
static void
add_scope(json_t *row)
{
    static const char own[] = "/providers/Microsoft.Authorization/roleAssignments/";
    const char *id = json_string_value(json_object_get(row, "id"));
    const char *at = id ? strstr(id, own) : NULL;

    if (at)
        json_object_set_new(row, "scope",
                            at == id ? json_string("/") : json_stringn(id, (size_t)(at - id)));
}

static cpn_rc
list(cpn_api *a, cpn_err *err)
{
    static const cpn_column columns[] = { { "Principal", "principalName" },
                                          { "Role", "role" },
                                          { "Effect", "effect" },
                                          { "Scope", "scope" },
                                          { "Id", "id" },
                                          { 0 } };
    json_auto_t *all = NULL;
    json_auto_t *people = NULL;
    json_t *row;
    size_t i;
    cpn_rc rc = cpn_rows(a, CPN_KIND_ASSIGNMENT, NULL, &all, err);

    if (rc == CPN_OK)
        rc = cpn_rows(a, CPN_KIND_PRINCIPAL, NULL, &people, err);
    if (rc != CPN_OK)
        return rc;
    json_array_foreach(all, i, row)
    {
        const char *who = json_string_value(json_object_get(row, "principalId"));
        const json_t *person = cpn_row_where(people, "id", who);

        add_scope(row);
        json_object_set_new(row, "principalName",
                            person ? json_incref(json_object_get(person, "name"))
                                   : json_string(who ? who : ""));
    }
    cpn_rows_keep(all, "principalName", cpn_args_get(&a->cli->args, "assignee"));
    cpn_rows_keep(all, "scope", cpn_args_get(&a->cli->args, "scope"));
    return cpn_out_rows(a->cli, all, columns, err);
}

static cpn_rc
role_list_run(cpn_cli *cli, cpn_err *err)
{
    return cpn_api_with(cli, list, err);
}

const cpn_cmd cpn_cmd_role_list = {
    .name = "role list",
    .brief = "List role assignments that you may see",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .examples =
        (const cpn_example[]){ { "caponier role list --assignee ada@example.test", "one user's" },
                               { 0 } },
    .run = role_list_run,
};
