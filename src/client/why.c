/* What an administrator, or oneself, can do about a refusal. */
#include "client/why.h"

#include <stdio.h>
#include <string.h>

#include "client/hint.h"
#include "model/reason.h"
#include "model/resource.h"

static const char *
text_of(const json_t *row, const char *key)
{
    const char *s = json_string_value(json_object_get(row, key));

    return s ? s : "";
}

/* Where no role helps. */
static const char *
advice(cpn_reason why)
{
    static const struct {
        cpn_reason why;
        const char *mend;
    } table[] = {
        { CPN_WHY_BASTION_UNKNOWN, "check the bastion's name: caponier bastion list" },
        { CPN_WHY_BASTION_SKU, "set the bastion's sku to Standard or Premium" },
        { CPN_WHY_NATIVE_CLIENT_OFF, "set native_client: true on the bastion" },
        { CPN_WHY_IP_CONNECT_OFF, "set ip_connect: true on the bastion, or name the machine" },
        { CPN_WHY_TARGET_UNKNOWN, "check the machine's name: caponier vm list" },
        { CPN_WHY_TARGET_ADDRESS, "use the machine's plain private address" },
        { CPN_WHY_NOT_PEERED,
          "peer the machine's network with the bastion's, or use another bastion" },
        { CPN_WHY_OUTSIDE_PREFIXES, "add a prefix that holds the address to a network" },
        { CPN_WHY_PORT, "use a port that the bastion allows, or add it to its ports" },
        { CPN_WHY_ROLE_DENIED, "remove the deny assignment: caponier role list" },
        { CPN_WHY_TIME_WINDOW, "come back within the assignment's hours" },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].why == why)
            return table[i].mend;
    return "ask an administrator of the gateway";
}

/* The command that assigns the role. False: there is none that does only that. Role and scope are
 * the gateway's words, and this is offered for pasting. */
static bool
assignment(const char *user, const char *role, const char *scope, char *out, size_t size)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf b = { .max = size - 1 };

    return role[0] && role[0] != '-' && cpn_hint_plain(scope) && (!user || cpn_hint_plain(user)) &&
           cpn_buf_printf(&b, "caponier role assign --assignee %s --role", user ? user : "USER") ==
               CPN_OK &&
           cpn_hint_put(&b, role) == CPN_OK && cpn_buf_printf(&b, " --scope %s", scope) == CPN_OK &&
           cpn_view_copy(cpn_buf_view(&b), out, size);
}

static json_t *
row_of(const json_t *line, const char *user)
{
    const char *role = text_of(line, "role"), *scope = text_of(line, "scope");
    cpn_reason why = cpn_reason_from_word(cpn_view_str(text_of(line, "reason")));
    char mend[CPN_ID_MAX + 512];

    if (why == CPN_WHY_ROLE_DENIED || !assignment(user, role, scope, mend, sizeof(mend)))
        snprintf(mend, sizeof(mend), "%s", advice(why));
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "reason", text_of(line, "reason"), "message",
                     why == CPN_WHY_NONE ? text_of(line, "reason") : cpn_reason_sentence(why),
                     "role", role, "scope", scope, "mend", mend);
}

json_t *
cpn_why_rows(const json_t *answer, const char *user)
{
    json_t *rows = json_array();
    const json_t *line;
    size_t i;

    json_array_foreach(json_object_get(answer, "missing"), i, line)
    {
        if (i == CPN_WHY_ROWS_MAX)
            break;
        json_array_append_new(rows, row_of(line, user));
    }
    if (i == 0 && !json_is_true(json_object_get(answer, "allowed")))
        json_array_append_new(rows, row_of(answer, user));
    return rows;
}
