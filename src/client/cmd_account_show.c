/* caponier account show: who is signed in where. */
#include "client/api.h"
#include "client/out.h"

static cpn_rc
account_show_run(cpn_cli *cli, cpn_err *err)
{
    static const cpn_column columns[] = { { "Gateway", "gateway" },
                                          { "User", "name" },
                                          { "ObjectId", "objectId" },
                                          { "Type", "type" },
                                          { "Tenant", "tenantId" },
                                          { "Subscription", "subscription" },
                                          { 0 } };
    cpn_api a = { 0 };
    json_auto_t *who = NULL, *all = NULL;
    cpn_rc rc = cpn_api_open(&a, cli, err);

    if (rc == CPN_OK)
        rc = cpn_api_call(&a, "GET", "/v1/whoami", NULL, &who, err);
    if (rc == CPN_OK) {
        json_object_set_new(who, "gateway", json_string(a.origin));
        if (cpn_contexts_list(a.dir, &all, NULL) == CPN_OK)
            json_object_set(who, "signedIn", all);
        if (a.ctx.subscription)
            json_object_set_new(who, "subscription", json_string(a.ctx.subscription));
        rc = cpn_out_object(cli, who, columns, err);
    }
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_account_show = {
    .name = "account show",
    .brief = "Show who is signed in, and the chosen subscription",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .examples = (const cpn_example[]){ { "caponier account show -o json", "for a script" }, { 0 } },
    .run = account_show_run,
};
