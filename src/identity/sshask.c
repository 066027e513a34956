/* Reads what a token request says about the certificate it wants. */
#include "identity/sshask.h"

#include "codec/chars.h"

static bool
scope_named(cpn_view scope)
{
    static const char *const scopes[] = {
        "https://pas.windows.net/CheckMyAccess/Linux/.default",
        "https://pas.chinacloudapi.cn/CheckMyAccess/Linux/.default",
        "https://pasff.usgovcloudapi.net/CheckMyAccess/Linux/.default",
    };
    cpn_view word;

    while (scope.n) {
        cpn_view_cut(scope, ' ', &word, &scope);
        for (size_t i = 0; i < CPN_COUNT(scopes); i++)
            if (cpn_view_is(word, scopes[i]))
                return true;
    }
    return false;
}

static bool
copy_plain(cpn_view v, char *out, size_t size)
{
    for (size_t i = 0; i < v.n; i++)
        if (!cpn_is_print(v.p[i]))
            return false;
    return cpn_view_copy(v, out, size);
}

cpn_rc
cpn_ssh_ask_read(cpn_ssh_ask *out, const cpn_form *form, cpn_view scope, const char **error,
                 cpn_err *err)
{
    cpn_view type = cpn_form_get(form, "token_type"), cnf = cpn_form_get(form, "req_cnf");
    cpn_view target = cpn_form_get(form, "target");
    cpn_resource_id id;

    memset(out, 0, sizeof(*out));
    *error = "invalid_request";
    if (!type.p || cpn_view_is_nocase(type, "Bearer"))
        return CPN_OK;
    if (!cpn_view_is(type, "ssh-cert"))
        return cpn_fail(err, CPN_INVALID, "token_type: expected Bearer or ssh-cert");
    if (!scope_named(scope)) {
        *error = "invalid_scope";
        return cpn_fail(err, CPN_INVALID,
                        "an SSH certificate needs the scope "
                        "https://pas.windows.net/CheckMyAccess/Linux/.default");
    }
    if (!cnf.p)
        return cpn_fail(err, CPN_INVALID, "req_cnf is missing: the public key to certify");
    if (cpn_sshkey_read(&out->key, cnf, err) != CPN_OK)
        return CPN_INVALID;
    if (!copy_plain(cpn_form_get(form, "key_id"), out->key_id, sizeof(out->key_id)))
        return cpn_fail(err, CPN_INVALID, "key_id: expected printable text of <= %d bytes",
                        CPN_SSH_KEY_ID_MAX);
    if (target.p && (cpn_resource_id_parse(&id, target, err) != CPN_OK || id.name.n == 0 ||
                     !cpn_view_copy(target, out->target, sizeof(out->target))))
        return cpn_fail(err, CPN_INVALID, "target: expected a machine's resource id");
    out->wanted = true;
    return CPN_OK;
}
