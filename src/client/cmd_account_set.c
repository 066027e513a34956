/* caponier account set: choose the subscription that names are looked up in. */
#include <stdlib.h>
#include <string.h>

#include "client/rows.h"
#include "model/resource.h"

static const cpn_opt opts[] = {
    { .name = "subscription",
      .letter = 's',
      .arg = "ID",
      .help = "the subscription, by id or name; must be given" },
    { 0 },
};

static cpn_rc
choose(cpn_api *a, const char *want, cpn_err *err)
{
    json_auto_t *all = NULL;
    const json_t *rows, *row;
    cpn_rc rc = cpn_rows_subscriptions(a, &all, err);

    if (rc != CPN_OK)
        return rc;
    rows = all;
    row = cpn_row_where(rows, "subscriptionId", want);
    if (!row)
        row = cpn_row_where(rows, "displayName", want);
    if (!row)
        return cpn_fail(err, CPN_NOT_FOUND, "there is no subscription '%s', or you may not see it",
                        want);
    free(a->ctx.subscription);
    a->ctx.subscription = cpn_xstrdup(json_string_value(json_object_get(row, "subscriptionId")));
    return cpn_contexts_put(a->dir, &a->ctx, false, err);
}

static cpn_rc
account_set_run(cpn_cli *cli, cpn_err *err)
{
    const char *want = cpn_args_get(&cli->args, "subscription");
    cpn_api a = { 0 };
    cpn_rc rc;

    if (!want || !want[0])
        return cpn_fail(err, CPN_INVALID, "--subscription must be given");
    rc = cpn_api_open(&a, cli, err);
    if (rc == CPN_OK)
        rc = choose(&a, want, err);
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_account_set = {
    .name = "account set",
    .brief = "Choose the subscription that names are looked up in",
    .flags = CPN_CMD_CALLS,
    .opts = opts,
    .examples = (const cpn_example[]){ { "caponier account set --subscription \"Lab\"",
                                         "by name; the id does as well" },
                                       { 0 } },
    .run = account_set_run,
};
