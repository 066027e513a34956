/* caponier account list: the subscriptions that the caller may see, or every stored sign-in. */
#include <strings.h>

#include "client/out.h"
#include "client/rows.h"
#include "model/resource.h"

static const cpn_opt opts[] = {
    { .name = "all", .help = "list the stored sign-ins of all gateways instead, asking none" },
    { 0 },
};

/* A subscription as the Azure CLI shows it. */
static json_t *
account_row(const cpn_api *a, const json_t *row)
{
    const char *id = json_string_value(json_object_get(row, "subscriptionId"));
    const char *name = json_string_value(json_object_get(row, "displayName"));
    bool chosen = id && a->ctx.subscription && strcasecmp(id, a->ctx.subscription) == 0;

    if (!name)
        name = id;
    return json_pack("{s:s?, s:s?, s:s?, s:s, s:b, s:{s:s?, s:s}}", "name", name, "id", id,
                     "subscriptionId", id, "state", "Enabled", "isDefault", chosen, "user", "name",
                     a->ctx.user, "type", "user");
}

static cpn_rc
list_sign_ins(cpn_cli *cli, cpn_err *err)
{
    static const cpn_column columns[] = {
        { "Gateway", "gateway" },           { "User", "user" },       { "Type", "type" },
        { "Subscription", "subscription" }, { "Current", "current" }, { 0 }
    };
    char dir[4096];
    json_auto_t *rows = NULL;
    cpn_rc rc = cpn_contexts_dir(dir, sizeof(dir), err);

    if (rc == CPN_OK)
        rc = cpn_contexts_list(dir, &rows, err);
    return rc == CPN_OK ? cpn_out_rows(cli, rows, columns, err) : rc;
}

static cpn_rc
list_subscriptions(cpn_cli *cli, cpn_err *err)
{
    static const cpn_column columns[] = { { "Name", "name" },
                                          { "SubscriptionId", "subscriptionId" },
                                          { "State", "state" },
                                          { "IsDefault", "isDefault" },
                                          { 0 } };
    cpn_api a = { 0 };
    json_auto_t *all = NULL;
    json_auto_t *out = json_array();
    const json_t *row;
    size_t i;
    cpn_rc rc = cpn_api_open(&a, cli, err);

    if (rc == CPN_OK)
        rc = cpn_rows_subscriptions(&a, &all, err);
    json_array_foreach(all, i, row) json_array_append_new(out, account_row(&a, row));
    if (rc == CPN_OK)
        rc = cpn_out_rows(cli, out, columns, err);
    cpn_api_fini(&a);
    return rc;
}

static cpn_rc
account_list_run(cpn_cli *cli, cpn_err *err)
{
    return cpn_args_has(&cli->args, "all") ? list_sign_ins(cli, err) : list_subscriptions(cli, err);
}

const cpn_cmd cpn_cmd_account_list = {
    .name = "account list",
    .brief = "List the subscriptions that you may see, or your sign-ins",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .examples = (const cpn_example[]){ { "caponier account list", "name, id, and which is chosen" },
                                       { "caponier account list --all",
                                         "who is signed in at which gateway" },
                                       { 0 } },
    .run = account_list_run,
};
