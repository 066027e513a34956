/* caponier logout: forget the stored sign-in. */
#include "client/contexts.h"
#include "client/gateway.h"
#include "client/out.h"

static const cpn_opt opts[] = {
    { .name = "gateway",
      .arg = "URL",
      .def = "all of them",
      .help = "forget the sign-in at this gateway only" },
    { 0 },
};

static cpn_rc
logout_run(cpn_cli *cli, cpn_err *err)
{
    const char *flag = cpn_args_get(&cli->args, "gateway");
    char dir[4096], origin[CPN_URL_ORIGIN_SIZE];
    cpn_url url;
    cpn_rc rc = cpn_contexts_dir(dir, sizeof(dir), err);

    if (rc == CPN_OK && flag)
        rc = cpn_gateway_choose(flag, NULL, &(cpn_gateway_file){ 0 }, &url, err);
    if (rc == CPN_OK)
        rc = cpn_contexts_forget(dir, flag ? cpn_url_origin(&url, origin) : NULL, err);
    return rc;
}

const cpn_cmd cpn_cmd_logout = {
    .name = "logout",
    .brief = "Forget the stored sign-ins",
    .opts = opts,
    .examples =
        (const cpn_example[]){ { "caponier logout", "forgets every stored sign-in" }, { 0 } },
    .run = logout_run,
};
