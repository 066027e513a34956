/* caponier logout: forget a stored sign-in, and end it at the gateway. */
#include "client/api.h"
#include "client/printable.h"

/* Who is current from now on. */
static void
say_next(const cpn_api *a)
{
    json_auto_t *rows = NULL;
    const json_t *first;

    if (cpn_contexts_list(a->dir, &rows, NULL) != CPN_OK || json_array_size(rows) == 0)
        return;
    first = json_array_get(rows, 0);
    cpn_say("commands without --gateway and --account now use %s at %s",
            json_string_value(json_object_get(first, "user")),
            json_string_value(json_object_get(first, "gateway")));
}

static cpn_rc
logout_run(cpn_cli *cli, cpn_err *err)
{
    cpn_api a = { 0 };
    cpn_rc rc = cpn_api_init(&a, cli, err);

    if (rc == CPN_OK)
        rc = cpn_api_sign_out(&a, err);
    if (rc == CPN_OK)
        say_next(&a);
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_logout = {
    .name = "logout",
    .brief = "End a sign-in and forget it",
    .flags = CPN_CMD_CALLS,
    .examples = (const cpn_example[]){ { "caponier logout", "the current one" },
                                       { "caponier logout --account ada@example.test", "this one" },
                                       { 0 } },
    .run = logout_run,
};
