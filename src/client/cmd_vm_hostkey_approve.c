/* caponier vm hostkey approve: the key that a machine shows becomes one that it may show. */
#include <string.h>

#include "client/out.h"
#include "client/printable.h"
#include "client/prompt.h"
#include "client/sshscan.h"
#include "codec/hostkey.h"

static const cpn_opt opts[] = {
    CPN_TARGET_OPTS,
    { .name = "fingerprint",
      .arg = "SHA256:...",
      .help = "approve only a key with this fingerprint; else it is shown and asked for" },
    { 0 },
};

static cpn_rc
ask(const cpn_cli *cli, const cpn_target *t, const cpn_hostkey *k, cpn_err *err)
{
    const char *want = cpn_args_get(&cli->args, "fingerprint");

    if (want && strcmp(want, k->print) == 0)
        return CPN_OK;
    if (want)
        return cpn_fail(err, CPN_DENIED, "%s shows %.*s %s, not %s; nothing was approved", t->label,
                        CPN_VIEW_ARG(k->type), k->print, want);
    cpn_say("%s shows %.*s %s", t->label, CPN_VIEW_ARG(k->type), k->print);
    return cpn_ask_yes("Is that its host key?", "--fingerprint", err);
}

static cpn_rc
approve(cpn_api *a, cpn_target *t, cpn_err *err)
{
    static const cpn_column columns[] = { { "Id", "id" }, { "HostKeys", "sshHostKeys" }, { 0 } };
    json_auto_t *said = NULL;
    json_auto_t *wish = NULL;
    json_auto_t *now = NULL;
    char line[CPN_HOSTKEY_MAX];
    const char *id;
    cpn_hostkey k;
    cpn_rc rc = cpn_target_resolve(t, a, &said, err);

    id = json_string_value(json_object_get(said, "targetResourceId"));
    if (rc == CPN_OK && !id)
        return cpn_fail(err, CPN_NOT_FOUND, "%s is no machine that the gateway knows", t->label);
    if (rc == CPN_OK)
        rc = cpn_sshscan(a, t, line, sizeof(line), err);
    if (rc == CPN_OK)
        rc = cpn_hostkey_parse(&k, cpn_view_str(line), err);
    if (rc == CPN_OK)
        rc = ask(a->cli, t, &k, err);
    if (rc != CPN_OK)
        return rc;
    wish = json_pack("{s:s, s:s}", "scope", id, "key", line);
    rc = cpn_api_call(a, "POST", "/v1/host-keys", wish, &now, err);
    return rc == CPN_OK ? cpn_out_object(a->cli, now, columns, err) : rc;
}

static cpn_rc
vm_hostkey_approve_run(cpn_cli *cli, cpn_err *err)
{
    cpn_api a = { 0 };
    cpn_target t;
    cpn_rc rc = cpn_target_read(&t, cli, err);

    if (rc == CPN_OK)
        rc = cpn_api_open(&a, cli, err);
    if (rc == CPN_OK)
        rc = approve(&a, &t, err);
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_vm_hostkey_approve = {
    .name = "vm hostkey approve",
    .brief = "Register the SSH host key that a machine shows",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .args = "[TARGET]",
    .names = "machines",
    .args_help = "the machine, by short name, resource id or address",
    .max_args = 1,
    .examples =
        (const cpn_example[]){
            { "caponier vm hostkey approve web1 --fingerprint SHA256:...",
              "after comparing with 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub' there" },
            { 0 } },
    .run = vm_hostkey_approve_run,
};
