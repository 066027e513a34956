/* Signs in on a machine as who is signed in at the gateway. */
#include "client/sshaad.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "client/agent.h"
#include "client/sshconfig.h"

bool
cpn_sshaad_wanted(const cpn_args *args)
{
    const char *type = cpn_args_get(args, "auth-type");

    return type && strcasecmp(type, "aad") == 0;
}

/* No other key, and not onward: whoever is at the far end of a forwarded agent could use it. */
static cpn_rc
add_options(cpn_sshrun *r, const char *socket, cpn_err *err)
{
    static const char *const fixed[] = { "-oPreferredAuthentications=publickey",
                                         "-oPubkeyAuthentication=yes",
                                         "-oIdentitiesOnly=no",
                                         "-oIdentityFile=none",
                                         "-oControlPath=none", /* it would outlive the sign-in */
                                         "-oForwardAgent=no",
                                         "-oAddKeysToAgent=no" };
    cpn_buf b = { .max = (size_t)2 * CPN_AGENT_PATH_SIZE };
    cpn_rc rc = cpn_ssh_text_ok(socket) ? cpn_ssh_put_percent(&b, socket) : CPN_INVALID;

    if (rc != CPN_OK)
        rc = cpn_fail(err, CPN_INVALID, "'%s' cannot stand in an option of ssh", socket);
    if (rc == CPN_OK)
        rc = cpn_sshrun_add(r, err, "-oIdentityAgent=\"%.*s\"", CPN_VIEW_ARG(cpn_buf_view(&b)));
    for (size_t i = 0; i < CPN_COUNT(fixed) && rc == CPN_OK; i++)
        rc = cpn_sshrun_add(r, err, "%s", fixed[i]);
    cpn_buf_fini(&b);
    return rc;
}

cpn_rc
cpn_sshaad_machine(const cpn_target *t, const json_t *said, const char **machine, cpn_err *err)
{
    const char *known = json_string_value(json_object_get(said, "targetResourceId"));

    *machine = t->resource[0] ? t->resource : known;
    if (*machine)
        return CPN_OK;
    return cpn_fail(err, CPN_INVALID,
                    "identity sign-in is for machines that the gateway knows; %s is none",
                    t->label);
}

cpn_rc
cpn_sshaad_add(cpn_sshrun *r, cpn_api *a, const cpn_target *t, const json_t *said,
               char login[CPN_SSHID_LOGIN_MAX + 1], cpn_err *err)
{
    CPN_AUTO(cpn_sshid_auto) cpn_sshid *id = NULL;
    const char *machine = NULL;
    char socket[CPN_AGENT_PATH_SIZE];
    cpn_rc rc = cpn_sshaad_machine(t, said, &machine, err);

    if (rc == CPN_OK)
        rc = cpn_sshid_new(&id, a, machine, err);
    if (rc != CPN_OK)
        return rc;
    snprintf(login, CPN_SSHID_LOGIN_MAX + 1, "%s", id->login);
    rc = cpn_agent_start(cpn_steal(&id), a, socket, err);
    return rc == CPN_OK ? add_options(r, socket, err) : rc;
}
