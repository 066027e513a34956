/* caponier account set: choose whose sign-in is used, and the subscription that names are looked up
 * in. */
#include <stdlib.h>
#include <string.h>

#include "client/rows.h"
#include "model/resource.h"

static const cpn_opt opts[] = {
    { .name = "subscription",
      .letter = 's',
      .arg = "ID",
      .help = "look names up in this subscription, by id or name" },
    { 0 },
};

/* *id is that of the subscription with this id or name; owned by the caller. */
static cpn_rc
find_subscription(cpn_api *a, const char *want, char **id, cpn_err *err)
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
    *id = cpn_xstrdup(json_string_value(json_object_get(row, "subscriptionId")));
    return CPN_OK;
}

/* The tokens that are put back are those that stand there now: with a refresh token that another
 * process has used meanwhile, the gateway would end the sign-in. id NULL: the one there stays. */
static cpn_rc
put(cpn_api *a, CPN_TAKES char *id, bool current, cpn_err *err)
{
    CPN_AUTO(cpn_auto_mem) char *mine = id;
    CPN_AUTO(cpn_auto_fd) int lock = -1;
    cpn_rc rc = cpn_api_lock(a, &lock, err);

    if (rc != CPN_OK)
        return rc;
    if (mine) {
        free(a->ctx.subscription);
        a->ctx.subscription = cpn_steal(&mine);
    }
    return cpn_contexts_put(a->dir, &a->ctx, current, err);
}

static cpn_rc
account_set_run(cpn_cli *cli, cpn_err *err)
{
    const char *want = cpn_args_get(&cli->args, "subscription");
    bool other = cpn_args_has(&cli->args, "gateway") || cpn_args_has(&cli->args, "account");
    const char *who = cpn_args_get(&cli->args, "account");
    char *id = NULL;
    cpn_api a = { 0 };
    cpn_rc rc;

    if ((!want && !other) || (want && !want[0]))
        return cpn_fail(err, CPN_INVALID,
                        "one of --subscription, --account and --gateway must be "
                        "given");
    rc = want ? cpn_api_open(&a, cli, err) : cpn_api_init(&a, cli, err);
    if (rc == CPN_OK && !a.ctx.gateway)
        rc = cpn_fail(err, CPN_UNAUTHENTICATED,
                      "%s%sno such sign-in at %s; 'caponier account list --all' shows them",
                      who ? who : "", who ? ": " : "", a.origin);
    if (rc == CPN_OK && want)
        rc = find_subscription(&a, want, &id, err);
    if (rc == CPN_OK)
        rc = put(&a, id, other, err);
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_account_set = {
    .name = "account set",
    .brief = "Choose whose sign-in is used, and the subscription that names are looked up in",
    .flags = CPN_CMD_CALLS,
    .opts = opts,
    .examples = (const cpn_example[]){ { "caponier account set --subscription \"Lab\"",
                                         "by name; the id does as well" },
                                       { "caponier account set --account ada@example.test",
                                         "commands without --account use this one" },
                                       { 0 } },
    .run = account_set_run,
};
