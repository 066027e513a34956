/* Puts together a command to paste. */
#include "client/hint.h"

#include <string.h>

#define SSH_PORT 22

bool
cpn_hint_plain(const char *word)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@%+=:,./_-";

    return word[0] && word[0] != '-' && word[strspn(word, plain)] == '\0';
}

/* Outside of the single quotes a shell is shown those within. */
cpn_rc
cpn_hint_put(cpn_buf *out, const char *word)
{
    cpn_view rest = cpn_view_str(word), part;
    bool more = true;
    cpn_rc rc;

    if (cpn_hint_plain(word))
        return cpn_buf_printf(out, " %s", word);
    rc = cpn_buf_append(out, CPN_VIEW_LIT(" '"));
    while (more && rc == CPN_OK) {
        more = cpn_view_cut(rest, '\'', &part, &rest);
        rc = cpn_buf_append(out, part);
        if (more && rc == CPN_OK)
            rc = cpn_buf_append(out, CPN_VIEW_LIT("'\\''"));
    }
    return rc == CPN_OK ? cpn_buf_append(out, CPN_VIEW_LIT("'")) : rc;
}

static cpn_rc
put_options(cpn_buf *out, const cpn_args *args, const cpn_target *t)
{
    static const char *const names[] = { "gateway", "account",        "ca",
                                         "name",    "resource-group", "subscription" };
    cpn_rc rc = CPN_OK;

    for (size_t i = 0; i < CPN_COUNT(names) && rc == CPN_OK; i++) {
        const char *value = cpn_args_get(args, names[i]);

        if (value)
            rc = cpn_buf_printf(out, " --%s", names[i]);
        if (value && rc == CPN_OK)
            rc = cpn_hint_put(out, value);
    }
    if (rc == CPN_OK && t->port != SSH_PORT)
        rc = cpn_buf_printf(out, " --resource-port %u", t->port);
    return rc;
}

void
cpn_hint_next(cpn_cli *cli, const char *command, const cpn_target *t, const char *more)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf b = { .max = sizeof(cli->next) - 1 };
    cpn_rc rc = cpn_buf_printf(&b, "caponier %s", command);

    if (rc == CPN_OK)
        rc = put_options(&b, &cli->args, t);
    if (rc == CPN_OK)
        rc = cpn_hint_put(&b, t->asked);
    if (rc == CPN_OK && more[0])
        rc = cpn_buf_printf(&b, " %s", more);
    if (rc != CPN_OK || !cpn_view_copy(cpn_buf_view(&b), cli->next, sizeof(cli->next)))
        cli->next[0] = '\0';
}
