/* The built-in roles and the matching of actions. */
#include "policy/role.h"

#include <ctype.h>

#include "codec/chars.h"

#define LIST(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

/* The two login roles see networks and interfaces, as Azure's do; the machine itself takes Reader,
 * since a pattern "virtualMachines/X/read" does not match "virtualMachines/read". */
#define LOGIN_ACTIONS                                                                              \
    LIST("Microsoft.Network/publicIPAddresses/read", "Microsoft.Network/virtualNetworks/read",     \
         "Microsoft.Network/loadBalancers/read", "Microsoft.Network/networkInterfaces/read",       \
         "Microsoft.Compute/virtualMachines/*/read", "Microsoft.HybridCompute/machines/*/read")

const cpn_role_def cpn_builtin_roles[CPN_BUILTIN_ROLES_N] = {
    { "Owner", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", LIST("*"), NULL, NULL },
    { "Contributor", "b24988ac-6180-42a0-ab88-20f7382dd24c", LIST("*"),
      LIST("Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write",
           "Microsoft.Authorization/elevateAccess/Action"),
      NULL },
    { "Reader", "acdd72a7-3385-48ef-bd42-f606fba81ae7", LIST("*/read"), NULL, NULL },
    { "Virtual Machine Administrator Login", "1c0163c0-47e6-4577-8991-ea5c82e286e4", LOGIN_ACTIONS,
      NULL,
      LIST("Microsoft.Compute/virtualMachines/login/action",
           "Microsoft.Compute/virtualMachines/loginAsAdmin/action",
           "Microsoft.HybridCompute/machines/login/action",
           "Microsoft.HybridCompute/machines/loginAsAdmin/action") },
    { "Virtual Machine User Login", "fb879df8-f326-4884-b1cf-06f3ad86be52", LOGIN_ACTIONS, NULL,
      LIST("Microsoft.Compute/virtualMachines/login/action",
           "Microsoft.HybridCompute/machines/login/action") },
};

static bool
same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* One retry point is enough: a later star makes earlier ones settle for their shortest match. */
static bool
matches(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;

    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern && same_letter(*pattern, *text)) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static bool
any_matches(const char *const *patterns, const char *action)
{
    for (; patterns && *patterns; patterns++)
        if (matches(*patterns, action))
            return true;
    return false;
}

bool
cpn_role_allows(const cpn_role_def *r, cpn_plane plane, const char *action)
{
    if (plane == CPN_PLANE_DATA)
        return any_matches(r->data_actions, action);
    return any_matches(r->actions, action) && !any_matches(r->not_actions, action);
}

bool
cpn_action_pattern_ok(const char *pattern)
{
    size_t n = strlen(pattern);

    for (size_t i = 0; i < n; i++)
        if (!cpn_is_alnum((uint8_t)pattern[i]) && !strchr(".*/_-", pattern[i]))
            return false;
    return n > 0 && n <= CPN_ACTION_MAX;
}
