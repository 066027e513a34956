/* caponier doctor: why does it not work, and what would help? */
#include <stdio.h>
#include <string.h>

#include "client/doctor.h"
#include "client/hint.h"
#include "client/out.h"
#include "client/printable.h"

static const cpn_opt opts[] = { CPN_TARGET_OPTS, { 0 } };

/* With a machine named, in whatever way. */
static bool
names_target(const cpn_cli *cli)
{
    return cli->args.args > 0 || cpn_args_has(&cli->args, "target-resource-id") ||
           cpn_args_has(&cli->args, "target-ip-address");
}

static void
examine(cpn_doctor *d, cpn_target *t)
{
    if (!cpn_doctor_network(d) || !cpn_doctor_gateway(d))
        return;
    if (!t || cpn_doctor_roles(d, t))
        cpn_doctor_tunnel(d, t);
}

static void
conclude(cpn_doctor *d, const cpn_target *t)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf label = { .max = sizeof(t->label) * 4 };

    if (d->worst == CPN_HEALTH_OK && t && cpn_hint_put(&label, t->label) == CPN_OK)
        snprintf(d->advice, sizeof(d->advice), "All is well: caponier tunnel%.*s works from here.",
                 CPN_VIEW_ARG(cpn_buf_view(&label)));
    else if (d->worst == CPN_HEALTH_OK)
        snprintf(d->advice, sizeof(d->advice),
                 "All is well up to the gateway; name a machine to go on.");
}

static cpn_rc
report(cpn_doctor *d, cpn_err *err)
{
    static const cpn_column columns[] = { { "Check", "check" },
                                          { "State", "state" },
                                          { "Detail", "detail" },
                                          { "Hint", "hint" },
                                          { 0 } };
    json_auto_t *all =
        json_pack("{s:O, s:s, s:s, s:b}", "value", d->lines, "gateway", d->api->origin, "advice",
                  d->advice, "ok", d->worst != CPN_HEALTH_FAIL);
    cpn_rc rc = cpn_out_rows(d->api->cli, all, columns, err);
    cpn_buf line = { .max = sizeof(d->advice) * 6 };

    if (rc == CPN_OK && d->api->cli->format == CPN_FORMAT_TABLE &&
        cpn_printable_put(&line, cpn_view_str(d->advice)) == CPN_OK)
        printf("\n%s%.*s\n", /* no full stop: it may end in a command, to be pasted */
               d->worst == CPN_HEALTH_OK ? "" : "Advice: ", CPN_VIEW_ARG(cpn_buf_view(&line)));
    cpn_buf_fini(&line);
    return rc;
}

static cpn_rc
doctor_run(cpn_cli *cli, cpn_err *err)
{
    cpn_target target, *t = names_target(cli) ? &target : NULL;
    cpn_api a = { 0 };
    cpn_doctor d = { .api = &a, .lines = json_array(), .worst = CPN_HEALTH_OK };
    cpn_rc rc = t ? cpn_target_read(t, cli, err) : CPN_OK;

    if (rc == CPN_OK)
        rc = cpn_api_init(&a, cli, err);
    if (rc == CPN_OK) {
        examine(&d, t);
        conclude(&d, t);
        rc = report(&d, err);
        if (rc == CPN_OK && d.worst == CPN_HEALTH_FAIL)
            rc = CPN_E_SYS; /* exit status 1, and all is said */
    }
    json_decref(d.lines);
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_doctor = {
    .name = "doctor",
    .brief = "Find out why the gateway or a machine cannot be reached",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .args = "[TARGET]",
    .names = "machines",
    .args_help =
        "the machine, by short name, resource id or address; without it, up to the gateway",
    .max_args = 1,
    .examples =
        (const cpn_example[]){ { "caponier doctor", "the way to the gateway, and the sign-in" },
                               { "caponier doctor web1", "the roles and the machine's port too" },
                               { 0 } },
    .run = doctor_run,
};
